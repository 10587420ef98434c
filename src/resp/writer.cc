// Headers are written in place with to_chars; a bulk string costs one reservation and one copy.
#include "resp/writer.h"

#include <cmath>

#include "base/number.h"

namespace hf::resp {

void Writer::header(char kind, int64_t n) {
  char* p = out_->reserve(24);
  *p = kind;
  size_t len = 1;
  if (n >= 0 && n < 10) {
    p[len++] = static_cast<char>('0' + n);
  } else {
    len += write_int(p + 1, n);
  }
  p[len++] = '\r';
  p[len++] = '\n';
  out_->commit(len);
}

void Writer::simple(Bytes text) { line('+', text); }
void Writer::error(Bytes text) { line('-', text); }

void Writer::line(char kind, Bytes text) {
  char* p = out_->reserve(text.size() + 3);
  *p++ = kind;
  for (char c : text) *p++ = c == '\r' || c == '\n' ? ' ' : c;
  *p++ = '\r';
  *p = '\n';
  out_->commit(text.size() + 3);
}

void Writer::integer(int64_t value) { header(':', value); }

void Writer::bulk(Bytes bytes) {
  char* p = out_->reserve(bytes.size() + 32);
  *p = '$';
  size_t len = 1 + write_int(p + 1, static_cast<int64_t>(bytes.size()));
  p[len++] = '\r';
  p[len++] = '\n';
  if (!bytes.empty()) std::memcpy(p + len, bytes.data(), bytes.size());
  len += bytes.size();
  p[len++] = '\r';
  p[len++] = '\n';
  out_->commit(len);
}

void Writer::bulk_int(int64_t value) {
  char text[24];
  bulk({text, write_int(text, value)});
}

void Writer::null() { out_->append(protocol_ >= 3 ? "_\r\n" : "$-1\r\n"); }
void Writer::null_array() { out_->append(protocol_ >= 3 ? "_\r\n" : "*-1\r\n"); }

void Writer::boolean(bool value) {
  if (protocol_ >= 3) out_->append(value ? "#t\r\n" : "#f\r\n");
  else integer(value ? 1 : 0);
}

void Writer::number(double value) {
  const std::string text = to_text(value);
  if (protocol_ < 3) return bulk(text);
  out_->append(',');
  out_->append(text);
  out_->append("\r\n");
}

void Writer::verbatim(Bytes text) {
  if (protocol_ < 3) return bulk(text);
  header('=', static_cast<int64_t>(text.size()) + 4);
  out_->append("txt:");
  out_->append(text);
  out_->append("\r\n");
}

void Writer::array(size_t n) { header('*', static_cast<int64_t>(n)); }
void Writer::map(size_t pairs) {
  if (protocol_ >= 3) header('%', static_cast<int64_t>(pairs));
  else header('*', static_cast<int64_t>(pairs) * 2);
}
void Writer::set(size_t n) { header(protocol_ >= 3 ? '~' : '*', static_cast<int64_t>(n)); }
void Writer::push(size_t n) { header(protocol_ >= 3 ? '>' : '*', static_cast<int64_t>(n)); }

Writer::Deferred Writer::begin(char kind) {
  const Deferred deferred{out_->size(), kind};
  return deferred;
}

void Writer::end(Deferred deferred, size_t n) {
  Buffer tail;
  tail.append(out_->view().substr(deferred.at));
  out_->truncate(deferred.at);
  switch (deferred.kind) {
    case '%': map(n); break;
    case '~': set(n); break;
    default: array(n);
  }
  out_->append(tail.view());
}

void Writer::command(std::span<const Bytes> args) {
  header('*', static_cast<int64_t>(args.size()));
  for (const Bytes arg : args) bulk(arg);
}

}  // namespace hf::resp
