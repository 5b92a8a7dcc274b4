// Unicode characters in and out of UTF-8, and texts as JSON strings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor.hpp"

namespace edgernn {

inline void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int following = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static constexpr std::uint32_t kFirst[] = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kFirst[following] | (code >> (6 * following)));
  for (int index = following - 1; index >= 0; --index) out += static_cast<char>(0x80 | ((code >> (6 * index)) & 0x3F));
}

// The characters of a text, each as its own UTF-8 bytes; throws where the text is not UTF-8.
inline std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> found;
  for (std::size_t at = 0; at < text.size();) {
    const auto first = static_cast<unsigned char>(text[at]);
    const std::size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    bool whole = length > 0 && at + length <= text.size();
    for (std::size_t next = 1; whole && next < length; ++next) {
      whole = (static_cast<unsigned char>(text[at + next]) & 0xC0) == 0x80;
    }
    if (!whole) throw Error("the text is not UTF-8 at byte " + std::to_string(at) + "; give it in UTF-8");
    found.push_back(text.substr(at, length));
    at += length;
  }
  return found;
}

// The text as a JSON string, quotes included.
inline std::string json_string(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if (c == '\n') out += "\\n";
    else if (byte < 0x20) out += "\\u00", out += kHex[byte >> 4], out += kHex[byte & 15];
    else out += c;
  }
  return out + "\"";
}

}  // namespace edgernn
