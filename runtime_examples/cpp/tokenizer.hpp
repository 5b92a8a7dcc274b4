// Text to token ids and back, for every kind of tokens that edgernn writes: char, byte, word, bpe, spaced and
// caption.
#pragma once

#include <unordered_map>

#include "bundle.hpp"
#include "bytepairs.hpp"

namespace edgernn {

class Tokenizer {
 public:
  // Reads tokenizer.json and makes sure that it encodes the manifest's text as the manifest says.
  explicit Tokenizer(const Bundle& bundle) : kind_(bundle.tokenizer_kind) {
    if (kind_ != "char" && !bytes_or_pairs() && !words()) {
      throw BundleError("the tokenizer is of kind " + kind_ +
                        ", expected char, byte, word, bpe, spaced or caption; use a library of the Hugging "
                        "Face tokenizers format");
    }
    const Json file = Json::parse(bundle.read(bundle.tokenizer_path), bundle.tokenizer_path);
    read_vocabulary(file.at("model").at("vocab"), bundle.contract.vocabulary());
    if (bytes_or_pairs()) pairs_.emplace(ids_, kind_ == "bpe" ? &file.at("model").at("merges") : nullptr);
    if (words()) {
      const auto unknown = ids_.find(file.at("model").at("unk_token").string());
      if (unknown != ids_.end()) unknown_ = unknown->second;
    }
    if (words() || kind_ == "bpe") {
      const Json& before = file.at("pre_tokenizer");
      const Json* part = kind_ == "bpe" ? &before.at("pretokenizers").at(0) : &before;
      pattern_.emplace(part->at("pattern").at("Regex").string());
    }
    check_recorded(bundle);
  }

  // Throws BundleError naming the first character that the model does not know; an unknown word is its id for
  // that.
  std::vector<std::int64_t> encode(std::string_view text) const { return encode(text, false); }

  std::string decode(const std::vector<std::int64_t>& ids) const {
    Writing writing(*this);
    std::string text;
    for (const std::int64_t id : ids) text += writing.piece(id);
    return text + writing.end();
  }

  // A text that is written token by token: pieces of whole characters, which may span several tokens.
  class Writing {
   public:
    explicit Writing(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

    // What a token completes of the text.
    std::string piece(std::int64_t id) {
      const std::string& token = tokenizer_.bytes_.at(static_cast<std::size_t>(id));
      const bool apart = tokenizer_.spaced() && token != "\n";
      std::string text = apart && begun_ ? " " : "";
      begun_ = apart;
      for (const char byte : token) {
        stream_.add(static_cast<unsigned char>(byte), text);
      }
      return text;
    }

    // What is left at the end.
    std::string end() {
      std::string text;
      stream_.end(text);
      return text;
    }

   private:
    const Tokenizer& tokenizer_;
    Utf8Stream stream_;
    bool begun_ = false;
  };

 private:
  bool bytes_or_pairs() const { return kind_ == "byte" || kind_ == "bpe"; }
  // Words with a space between two, but for line ends.
  bool spaced() const { return kind_ == "spaced" || kind_ == "caption"; }
  bool words() const { return kind_ == "word" || spaced(); }

  void read_vocabulary(const Json& vocabulary, std::int64_t rows) {
    for (const auto& [token, id] : vocabulary.object()) ids_[token] = id.integer();
    bytes_.resize(ids_.size());
    std::size_t seen = 0;
    for (const auto& [token, id] : ids_) {
      if (id >= static_cast<std::int64_t>(bytes_.size())) break;
      bytes_[static_cast<std::size_t>(id)] = bytes_or_pairs() ? spelled_bytes(token) : token;
      ++seen;
    }
    std::vector<bool> taken(bytes_.size());
    for (const auto& [token, id] : ids_) {
      if (id < static_cast<std::int64_t>(taken.size())) taken[static_cast<std::size_t>(id)] = true;
    }
    if (seen != bytes_.size() || std::count(taken.begin(), taken.end(), false) > 0 ||
        rows != static_cast<std::int64_t>(seen)) {
      throw BundleError("the tokenizer has " + std::to_string(ids_.size()) + " tokens, manifest.json has " +
                        std::to_string(rows) + ", or an id comes twice; export the bundle again");
    }
  }

  void check_recorded(const Bundle& bundle) const {
    std::string text = bundle.tokenizer_text;
    if (kind_ == "caption" && !normalize(text).empty()) {
      return;  // it cannot be judged without the tables of NFKC
    }
    if (encode(text, true) != bundle.tokenizer_ids) {
      throw BundleError(
          "tokenizer.json does not encode the manifest's text to the manifest's ids; export the bundle "
          "again");
    }
  }

  // Makes the text lower case, as far as ASCII goes; returns the first character that NFKC and lower case
  // would change beyond it.
  static std::string normalize(std::string& text) {
    for (const std::string_view part : characters(text)) {
      char& first = text[static_cast<std::size_t>(part.data() - text.data())];
      if (first >= 'A' && first <= 'Z') first = static_cast<char>(first - 'A' + 'a');
      else if (in_table(CHANGED, code_point(part))) return std::string(part);
    }
    return "";
  }

  std::vector<std::int64_t> encode(std::string_view given, bool skip) const {
    std::string text(given);
    std::vector<std::int64_t> found;
    const auto all = characters(text);  // throws where it is not UTF-8
    if (kind_ == "char") {
      for (const std::string_view part : all) add_token(part, skip, found);
      return found;
    }
    if (kind_ == "byte") return pairs_->encode(text);
    if (kind_ == "caption") {
      if (const std::string changed = normalize(text); !changed.empty()) {
        throw BundleError(
            "the text has " + json_string(changed) +
            ", which a caption has in another form; write it in lower case and in the normal form NFKC");
      }
    }
    for (const std::string_view piece : cut(text)) {
      if (kind_ != "bpe") {
        add_token(piece, skip, found);
        continue;
      }
      const auto ids = pairs_->encode(piece);
      found.insert(found.end(), ids.begin(), ids.end());
    }
    return found;
  }

  void add_token(std::string_view part, bool skip, std::vector<std::int64_t>& found) const {
    const auto known = ids_.find(std::string(part));
    if (known != ids_.end() && known->second != unknown_) {
      found.push_back(known->second);
    } else if (!skip && unknown_ >= 0) {
      found.push_back(unknown_);
    } else if (!skip) {
      throw BundleError("the prompt has " + json_string(part) + ", which is not among the " +
                        std::to_string(ids_.size()) + " tokens of the model; leave it out");
    }
  }

  // The matches of the pattern and, but for words apart, what lies between them.
  std::vector<std::string_view> cut(std::string_view text) const {
    std::vector<std::string_view> pieces;
    Pattern::Search search(*pattern_, text);
    const auto add_gap = [&](std::size_t from, std::size_t to) {
      if (from < to && !spaced()) pieces.push_back(text.substr(from, to - from));
    };
    std::size_t gap = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = search.match(at);
      if (end == std::string_view::npos || end == at) {
        at += character_length(text, at);
        continue;
      }
      add_gap(gap, at);
      pieces.push_back(text.substr(at, end - at));
      gap = at = end;
    }
    add_gap(gap, text.size());
    return pieces;
  }

  std::string kind_;
  std::unordered_map<std::string, std::int64_t> ids_;
  std::vector<std::string> bytes_;  // what each token is in a text
  std::int64_t unknown_ = -1;       // the id of an unknown word
  std::optional<BytePairs> pairs_;
  std::optional<Pattern> pattern_;
};

}  // namespace edgernn
