// A strict JSON reader (RFC 8259) for manifests and tokenizers. An object that has a name twice is refused:
// which of the two counts would be anybody's guess.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tensor.hpp"
#include "utf8.hpp"

namespace edgernn {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;  // in the order of the file

  // Throws BundleError with the byte at which the text stops being JSON; `source` names the file in it.
  static Json parse(std::string_view text, const std::string& source);

  const std::string& string() const { return get<std::string>("a string"); }
  const Array& array() const { return get<Array>("an array"); }
  const Object& object() const { return get<Object>("an object"); }
  double number() const { return get<double>("a number"); }
  bool boolean() const { return get<bool>("true or false"); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }

  // A whole number from 0 to 2^53, in which a double is exact.
  std::int64_t integer() const {
    const double value = number();
    if (!(value >= 0 && value <= 9007199254740992.0 && value == std::floor(value))) {
      throw BundleError(where_ + " is " + std::to_string(value) +
                        ", expected a whole number from 0; export the bundle again");
    }
    return static_cast<std::int64_t>(value);
  }

  const Json* find(std::string_view key) const {
    for (const auto& [name, value] : object()) {
      if (name == key) return &value;
    }
    return nullptr;
  }

  const Json& at(std::string_view key) const {
    if (const Json* found = find(key)) return *found;
    throw BundleError(where_ + " has no \"" + std::string(key) + "\"; export the bundle again");
  }

  const Json& at(std::size_t index) const {
    if (index < array().size()) return array()[index];
    throw BundleError(where_ + " has no element " + std::to_string(index) + "; export the bundle again");
  }

 private:
  friend class JsonReader;

  template <class T>
  const T& get(const char* expected) const {
    if (const T* found = std::get_if<T>(&value_)) return *found;
    throw BundleError(where_ + " is not what it should be, expected " + expected +
                      "; export the bundle again");
  }

  std::variant<std::nullptr_t, bool, double, std::string, Array, Object> value_{nullptr};
  std::string where_;  // the file and the keys that lead here, for errors
};

class JsonReader {
 public:
  JsonReader(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  Json document() {
    Json value = read(source_, 0);
    skip_space();
    if (at_ != text_.size()) fail("the end of the file");
    return value;
  }

 private:
  static constexpr int kMostDepth =
      64;  // a manifest has 7; without a bound a hostile file overflows the stack

  [[noreturn]] void fail(const char* expected) const {
    throw BundleError(source_ + " is damaged at byte " + std::to_string(at_) + ": expected " + expected +
                "; export the bundle again");
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  bool take(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  Json read(const std::string& where, int depth) {
    if (depth > kMostDepth) fail("fewer nested values");
    Json json;
    json.where_ = where;
    skip_space();
    const char next = at_ < text_.size() ? text_[at_] : '\0';
    if (next == '{') {
      json.value_ = read_object(where, depth);
    } else if (next == '[') {
      json.value_ = read_array(where, depth);
    } else if (next == '"') {
      json.value_ = read_string();
    } else if (next == '-' || (next >= '0' && next <= '9')) {
      json.value_ = read_number();
    } else if (!read_word(json)) {
      fail("a value");
    }
    return json;
  }

  bool read_word(Json& json) {
    const auto is = [this](std::string_view word) {
      if (text_.substr(at_, word.size()) != word) return false;
      at_ += word.size();
      return true;
    };
    if (is("true")) json.value_ = true;
    else if (is("false")) json.value_ = false;
    else return is("null");
    return true;
  }

  Json::Object read_object(const std::string& where, int depth) {
    Json::Object object;
    take('{');
    if (take('}')) return object;
    do {
      skip_space();
      if (at_ >= text_.size() || text_[at_] != '"') fail("a name in quotes");
      std::string name = read_string();
      if (!take(':')) fail("':'");
      Json value = read(where + "." + name, depth + 1);
      object.emplace_back(std::move(name), std::move(value));
    } while (take(','));
    if (!take('}')) fail("',' or '}'");
    std::vector<std::string_view> names;
    for (const auto& member : object) names.push_back(member.first);
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) != names.end()) fail("every name of an object once");
    return object;
  }

  Json::Array read_array(const std::string& where, int depth) {
    Json::Array array;
    take('[');
    if (take(']')) return array;
    do {
      array.push_back(read(where + "[" + std::to_string(array.size()) + "]", depth + 1));
    } while (take(','));
    if (!take(']')) fail("',' or ']'");
    return array;
  }

  double read_number() {
    const std::size_t start = at_;
    const auto digits = [this] {
      const std::size_t first = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
      if (at_ == first) fail("a digit");
      return at_ - first;
    };
    if (text_[at_] == '-') ++at_;
    const bool leading_zero = at_ < text_.size() && text_[at_] == '0';
    if (digits() > 1 && leading_zero) fail("a number without a leading zero");
    if (at_ < text_.size() && text_[at_] == '.') ++at_, digits();
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      digits();
    }
    const double value = std::strtod(std::string(text_.substr(start, at_ - start)).c_str(), nullptr);
    if (!std::isfinite(value)) fail("a number that a double holds");
    return value;
  }

  std::string read_string() {
    std::string out;
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (static_cast<unsigned char>(text_[at_]) < 0x20) fail("no control character in a string");
      if (text_[at_] != '\\') out += text_[at_];
      else read_escape(out);
    }
    if (at_ >= text_.size()) fail("'\"'");
    for (std::size_t at = 0; at < out.size();) {
      const std::size_t length = character_length(out, at);
      if (length == 0) fail("UTF-8");
      at += length;
    }
    ++at_;
    return out;
  }

  void read_escape(std::string& out) {
    static constexpr std::string_view kNames = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    const char name = ++at_ < text_.size() ? text_[at_] : '\0';
    if (const std::size_t index = kNames.find(name); name != '\0' && index != std::string_view::npos) {
      out += kMeant[index];
      return;
    }
    if (name != 'u') fail("an escape");
    std::uint32_t code = read_hex();
    if (code >= 0xD800 && code < 0xDC00) {  // the first half of a pair
      if (text_.substr(at_ + 1, 2) != "\\u") fail("the second half of a surrogate pair");
      at_ += 2;
      const std::uint32_t low = read_hex();
      if (low < 0xDC00 || low > 0xDFFF) fail("the second half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
      fail("a first half before the second of a surrogate pair");
    }
    append_utf8(out, code);
  }

  std::uint32_t read_hex() {  // leaves at_ on the last of four digits
    std::uint32_t code = 0;
    for (int digit = 0; digit < 4; ++digit) {
      const char c = ++at_ < text_.size() ? text_[at_] : '\0';
      const std::size_t value = std::string_view("0123456789abcdef").find(c >= 'A' && c <= 'F' ? c + 32 : c);
      if (c == '\0' || value == std::string_view::npos) fail("four hexadecimal digits");
      code = code * 16 + static_cast<std::uint32_t>(value);
    }
    return code;
  }

  std::string_view text_;
  std::string source_;
  std::size_t at_ = 0;
};

inline Json Json::parse(std::string_view text, const std::string& source) {
  return JsonReader(text, source).document();
}

}  // namespace edgernn
