// The bytes of tokens of kind byte and bpe, and the merges of byte pairs (Sennrich et al. 2016).
#pragma once

#include <array>
#include <unordered_map>

#include "json.hpp"
#include "pattern.hpp"

namespace edgernn {

// The byte for which a character of a vocabulary stands, or -1. This is GPT-2's table: a printable byte of
// Latin-1 is itself, the n-th other one is the character 256 + n.
inline int byte_of(std::uint32_t code) {
  static const std::array<int, 512> kBytes = [] {
    std::array<int, 512> bytes;
    bytes.fill(-1);
    std::size_t others = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      bytes[printable ? static_cast<std::size_t>(byte) : others++] = byte;
    }
    return bytes;
  }();
  return code < kBytes.size() ? kBytes[code] : -1;
}

// The bytes that a token spells; a token that does not spell bytes is its own.
inline std::string spelled_bytes(const std::string& token) {
  std::string bytes;
  for (const std::string_view character : characters(token)) {
    const int byte = byte_of(code_point(character));
    if (byte < 0) return token;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

class BytePairs {
 public:
  // `merges` is null where there are none: each byte is a token.
  BytePairs(const std::unordered_map<std::string, std::int64_t>& ids, const Json* merges) {
    std::size_t seen = 0;
    for (const auto& [token, id] : ids) {
      const auto parts = characters(token);
      const int byte = parts.size() == 1 ? byte_of(code_point(parts[0])) : -1;
      if (byte < 0) continue;
      of_byte_[static_cast<std::size_t>(byte)] = id;
      ++seen;
    }
    if (seen != of_byte_.size()) {
      throw BundleError("tokenizer.json has no token for every byte; export the bundle again");
    }
    if (merges == nullptr) return;
    for (const Json& merge : merges->array()) read_merge(ids, merge);
  }

  // Merges all pairs of the lowest rank, from left to right, until there is none left.
  std::vector<std::int64_t> encode(std::string_view piece) const {
    std::vector<std::int64_t> found;
    for (const char byte : piece) found.push_back(of_byte_[static_cast<unsigned char>(byte)]);
    for (;;) {
      const Merge* best = nullptr;
      std::pair<std::int64_t, std::int64_t> pair;
      for (std::size_t at = 0; at + 1 < found.size(); ++at) {
        const auto merge = merges_.find({found[at], found[at + 1]});
        if (merge != merges_.end() && (best == nullptr || merge->second.rank < best->rank)) {
          best = &merge->second;
          pair = merge->first;
        }
      }
      if (best == nullptr) return found;
      std::vector<std::int64_t> kept;
      for (std::size_t at = 0; at < found.size(); ++at) {
        const bool here = at + 1 < found.size() && found[at] == pair.first && found[at + 1] == pair.second;
        kept.push_back(here ? best->into : found[at]);
        at += here ? 1 : 0;
      }
      found = std::move(kept);
    }
  }

 private:
  struct Merge {
    std::size_t rank;
    std::int64_t into;
  };

  // Two tokens, as an array or parted by a space.
  void read_merge(const std::unordered_map<std::string, std::int64_t>& ids, const Json& merge) {
    std::string left, right;
    if (merge.is_string()) {
      const std::string& text = merge.string();
      left = text.substr(0, text.find(' '));
      right = text.substr(std::min(text.size(), left.size() + 1));
    } else {
      left = merge.at(0).string(), right = merge.at(1).string();
    }
    const auto first = ids.find(left), second = ids.find(right), both = ids.find(left + right);
    if (first == ids.end() || second == ids.end() || both == ids.end()) {
      throw BundleError(
          "tokenizer.json has a merge that is no pair of tokens that makes a token; export the bundle again");
    }
    merges_.insert({{first->second, second->second}, {merges_.size(), both->second}});
  }

  std::array<std::int64_t, 256> of_byte_{};
  std::map<std::pair<std::int64_t, std::int64_t>, Merge> merges_;
};

}  // namespace edgernn
