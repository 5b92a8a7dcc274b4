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
  for (int index = following - 1; index >= 0; --index) {
    out += static_cast<char>(0x80 | ((code >> (6 * index)) & 0x3F));
  }
}

// How many bytes the UTF-8 character at `at` has; 0 where there is no valid one (Unicode, table 3-7).
inline std::size_t character_length(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xC2 ? 0
                             : first < 0xE0 ? 2
                             : first < 0xF0 ? 3
                             : first < 0xF5 ? 4
                                            : 0;
  if (length == 0 || length > text.size() - at) return 0;
  for (std::size_t next = 1; next < length; ++next) {
    const auto byte = static_cast<unsigned char>(text[at + next]);
    const unsigned least = next > 1 ? 0x80 : first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned most = next > 1 ? 0xBF : first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (byte < least || byte > most) return 0;
  }
  return length;
}

// The code point of one character, given as its UTF-8 bytes.
inline std::uint32_t code_point(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  std::uint32_t code = character.size() == 1 ? first : first & (0x7FU >> character.size());
  for (const char c : character.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3F);
  return code;
}

// The characters of a text, each as its own UTF-8 bytes; throws where the text is not UTF-8.
inline std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> found;
  for (std::size_t at = 0; at < text.size(); at += found.back().size()) {
    const std::size_t length = character_length(text, at);
    if (length == 0) {
      throw BundleError("the text is not UTF-8 at byte " + std::to_string(at) + "; give it in UTF-8");
    }
    found.push_back(text.substr(at, length));
  }
  return found;
}

// Bytes that come one by one, as whole characters: what is no UTF-8 becomes U+FFFD, a piece of a character
// for a piece.
class Utf8Stream {
 public:
  void add(unsigned char byte, std::string& text) {
    if (!held_.empty() && !follows(byte)) end(text);
    held_ += static_cast<char>(byte);
    const auto first = static_cast<unsigned char>(held_[0]);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xC2 ? 0
                               : first < 0xE0 ? 2
                               : first < 0xF0 ? 3
                               : first < 0xF5 ? 4
                                              : 0;
    if (length == 0) {
      end(text);
    } else if (held_.size() == length) {
      text += held_;
      held_.clear();
    }
  }

  void end(std::string& text) {
    if (!held_.empty()) text += "\xEF\xBF\xBD";
    held_.clear();
  }

 private:
  bool follows(
      unsigned char byte) const {  // whether the held bytes and this one could still begin a character
    const std::string tried = held_ + static_cast<char>(byte);
    for (const char* rest : {"", "\x80", "\xBF", "\x80\x80", "\xBF\xBF"}) {
      if (const std::string whole = tried + rest; character_length(whole, 0) == whole.size()) return true;
    }
    return false;
  }

  std::string held_;
};

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
