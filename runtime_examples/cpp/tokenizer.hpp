// Text to token ids and back, for bundles of characters and of captions.
#pragma once

#include <unordered_map>

#include "bundle.hpp"

namespace edgernn {

class Tokenizer {
 public:
  // Reads tokenizer.json and makes sure that it encodes the manifest's text as the manifest says.
  explicit Tokenizer(const Bundle& bundle) : words_(bundle.tokenizer_kind == "caption") {
    if (!words_ && bundle.tokenizer_kind != "char") {
      throw Error("the tokenizer is of the kind " + bundle.tokenizer_kind +
                  ", expected char or caption; this example reads no other: "
                  "use a library of the Hugging Face tokenizers format");
    }
    const Json file = Json::parse(bundle.read(bundle.tokenizer_path), bundle.tokenizer_path);
    const auto& entries = file.at("model").at("vocab").object();
    const auto rows = static_cast<std::size_t>(bundle.size(bundle.token_input().below));
    tokens_.resize(rows);
    for (const auto& [token, id] : entries) {
      if (const auto index = static_cast<std::size_t>(id.integer()); index < rows) tokens_[index] = token;
      ids_[token] = id.integer();
    }
    if (entries.size() != rows || ids_.size() != rows) {
      throw Error("the tokenizer has " + std::to_string(entries.size()) + " tokens, the model has " + std::to_string(rows) +
                  "; export the bundle again");
    }
    if (encode(bundle.tokenizer_text, Unknown::kSkip) != bundle.tokenizer_ids) {
      throw Error("tokenizer.json does not encode the manifest's text to the manifest's ids; export the bundle again");
    }
  }

  // Throws Error naming the first character (or word) that the model does not know.
  std::vector<std::int64_t> encode(std::string_view text) const { return encode(text, Unknown::kRefuse); }

  std::string decode(const std::vector<std::int64_t>& ids) const {
    std::string text;
    for (const std::int64_t id : ids) text += piece(id, text.empty());
    return text;
  }

  // What a token adds to a text; words are joined by a space.
  std::string piece(std::int64_t id, bool first) const {
    return (words_ && !first ? " " : "") + tokens_.at(static_cast<std::size_t>(id));
  }

 private:
  enum class Unknown { kRefuse, kSkip };

  std::vector<std::int64_t> encode(std::string_view text, Unknown unknown) const {
    std::vector<std::int64_t> found;
    for (const std::string_view part : words_ ? split(text) : characters(text)) {
      if (const auto known = ids_.find(std::string(part)); known != ids_.end()) found.push_back(known->second);
      else if (unknown == Unknown::kRefuse) {
        throw Error("the prompt has " + json_string(part) + ", which is not among the " + std::to_string(tokens_.size()) +
                    " tokens of the model; leave it out");
      }
    }
    return words_ ? without_specials(found) : found;
  }

  // A caption's special tokens (<start> and its kin) are no words: a text never encodes to them.
  std::vector<std::int64_t> without_specials(const std::vector<std::int64_t>& ids) const {
    std::vector<std::int64_t> kept;
    for (const std::int64_t id : ids) {
      const std::string& token = tokens_[static_cast<std::size_t>(id)];
      if (token.front() != '<' || token.back() != '>') kept.push_back(id);
    }
    return kept;
  }

  static std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> words;
    for (std::size_t at = text.find_first_not_of(' '); at < text.size(); at = text.find_first_not_of(' ', at)) {
      words.push_back(text.substr(at, text.find(' ', at) - at));
      at += words.back().size();
    }
    return words;
  }

  bool words_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, std::int64_t> ids_;
};

}  // namespace edgernn
