// The regular expressions of a tokenizer.json, as far as edgernn writes them: characters, classes ([…] with
// ranges, \p{L}, \p{M},
// \p{N}, \s), groups (?:…), a look ahead (?=…) or (?!…), alternatives and ?, *, +. Everything else is
// refused.
#pragma once

#include <algorithm>
#include <iterator>

#include "tensor.hpp"
#include "unicode.hpp"
#include "utf8.hpp"

namespace edgernn {

template <std::size_t N>
bool in_table(const code_range (&table)[N], std::uint32_t code) {
  const auto found =
      std::lower_bound(std::begin(table), std::end(table), code,
                       [](const code_range& range, std::uint32_t wanted) { return range.last < wanted; });
  return found != std::end(table) && found->first <= code;
}

// A pattern becomes moves, which are tried in order, going back where one fails.
class Pattern {
 public:
  explicit Pattern(std::string_view text) : text_(text) {
    read_alternatives(0);
    if (at_ < text_.size()) refuse();
    moves_.push_back({Kind::kDone, 0, 0});
  }

  // A text, in which matches are looked for from left to right. It bounds what all of them may cost together.
  class Search {
   public:
    Search(const Pattern& pattern, std::string_view text)
        : pattern_(pattern), text_(text), left_(kMovesPerByte * (text.size() + 100)) {}

    // Where the match that begins at `at` ends; npos where there is none.
    std::size_t match(std::size_t at) { return run(0, at); }

   private:
    static constexpr std::size_t kMovesPerByte = 200;

    std::size_t run(std::size_t start, std::size_t from) {
      const std::size_t base = places_.size();
      std::size_t found = std::string_view::npos;
      places_.push_back({start, from});
      while (places_.size() > base && found == std::string_view::npos) {
        if (left_-- == 0) {
          throw BundleError("the pattern of tokenizer.json takes too long; export the bundle again");
        }
        const auto [place, at] = places_.back();
        places_.pop_back();
        const Move& move = pattern_.moves_[place];
        if (move.kind == Kind::kDone) {
          found = at;
        } else if (move.kind == Kind::kTake) {
          const std::size_t length = at < text_.size() ? character_length(text_, at) : 0;
          if (length > 0 && pattern_.sets_[move.a].holds(code_point(text_.substr(at, length)))) {
            places_.push_back({place + 1, at + length});
          }
        } else if (move.kind == Kind::kSplit) {
          places_.push_back({place + move.b, at});
          places_.push_back({place + move.a, at});
        } else if (move.kind == Kind::kJump ||
                   (run(place + 1, at) != std::string_view::npos) == (move.kind == Kind::kAhead)) {
          places_.push_back({place + move.a, at});
        }
      }
      places_.resize(base);
      return found;
    }

    const Pattern& pattern_;
    std::string_view text_;
    std::size_t left_;
    std::vector<std::pair<std::size_t, std::size_t>> places_;  // a move, and where in the text
  };

 private:
  struct Item {
    enum Class { kRange, kLetter, kMark, kNumber, kSpace } of = kRange;
    bool inverted = false;
    std::uint32_t first = 0, last = 0;

    bool holds(std::uint32_t code) const {
      switch (of) {
        case kLetter: return in_table(LETTERS, code) != inverted;
        case kMark: return in_table(MARKS, code) != inverted;
        case kNumber: return in_table(NUMBERS, code) != inverted;
        case kSpace: return in_table(SPACES, code) != inverted;
        default: return code >= first && code <= last;
      }
    }
  };

  struct Set {
    std::vector<Item> items;
    bool inverted = false;

    bool holds(std::uint32_t code) const {
      return std::any_of(items.begin(), items.end(), [&](const Item& item) { return item.holds(code); }) !=
             inverted;
    }
  };

  // Take a character of set `a`. Split: go `a` on, else `b`. Jump `a` on. Ahead: what follows up to done,
  // then go `a` on.
  enum class Kind { kTake, kSplit, kJump, kAhead, kNotAhead, kDone };

  struct Move {
    Kind kind;
    std::ptrdiff_t a, b;
  };

  static constexpr int kMostDepth = 64;
  static constexpr std::size_t kMostMoves = 256;

  [[noreturn]] void refuse() const {
    throw BundleError("tokenizer.json has the pattern " + json_string(text_) +
                ", expected one that edgernn writes; use a library of the Hugging Face tokenizers format");
  }

  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  // Offsets are relative, so that what moves as a whole stays right.
  void insert(std::size_t place, Kind kind, std::ptrdiff_t a, std::ptrdiff_t b = 0) {
    if (moves_.size() >= kMostMoves) refuse();
    moves_.insert(moves_.begin() + static_cast<std::ptrdiff_t>(place), {kind, a, b});
  }

  std::uint32_t read_character() {
    const std::size_t length = at_ < text_.size() ? character_length(text_, at_) : 0;
    if (length == 0) refuse();
    at_ += length;
    return code_point(text_.substr(at_ - length, length));
  }

  Item read_escape() {
    static const std::pair<std::string_view, Item> kKnown[] = {
        {"p{L}", {Item::kLetter, false, 0, 0}}, {"P{L}", {Item::kLetter, true, 0, 0}},
        {"p{M}", {Item::kMark, false, 0, 0}},   {"P{M}", {Item::kMark, true, 0, 0}},
        {"p{N}", {Item::kNumber, false, 0, 0}}, {"P{N}", {Item::kNumber, true, 0, 0}},
        {"s", {Item::kSpace, false, 0, 0}},     {"S", {Item::kSpace, true, 0, 0}},
        {"n", {Item::kRange, false, '\n', '\n'}}, {"r", {Item::kRange, false, '\r', '\r'}},
        {"t", {Item::kRange, false, '\t', '\t'}}};
    for (const auto& [name, item] : kKnown) {
      if (take(name)) return item;
    }
    if (at_ >= text_.size() ||
        std::string_view("\\[](){}|?*+.^$-/'\"").find(text_[at_]) == std::string_view::npos) {
      refuse();
    }
    const std::uint32_t code = read_character();
    return {Item::kRange, false, code, code};
  }

  Item read_item(bool brackets) {
    Item item;
    if (take("\\")) {
      item = read_escape();
    } else {
      if (brackets && (take("[") || take("&&"))) refuse();
      item.first = item.last = read_character();
    }
    const bool range = brackets && at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']';
    if (range && item.of == Item::kRange && take("-")) {
      item.last = take("\\") ? read_escape().last : read_character();
      if (item.first > item.last) refuse();
    }
    return item;
  }

  void read_set(bool brackets) {
    Set set;
    set.inverted = brackets && take("^");
    do set.items.push_back(read_item(brackets));
    while (brackets && !take("]"));
    sets_.push_back(std::move(set));
    insert(moves_.size(), Kind::kTake, static_cast<std::ptrdiff_t>(sets_.size()) - 1);
  }

  void read_group(int depth, Kind kind) {
    const std::size_t start = moves_.size();
    if (kind != Kind::kDone) insert(start, kind, 0);
    read_alternatives(depth + 1);
    if (!take(")")) refuse();
    if (kind == Kind::kDone) return;
    insert(moves_.size(), Kind::kDone, 0);
    moves_[start].a = static_cast<std::ptrdiff_t>(moves_.size() - start);
  }

  void read_term(int depth) {
    const std::size_t start = moves_.size();
    if (take("(?:")) read_group(depth, Kind::kDone);
    else if (take("(?=")) read_group(depth, Kind::kAhead);
    else if (take("(?!")) read_group(depth, Kind::kNotAhead);
    else if (take("[")) read_set(true);
    else if (std::string_view("(){}?*+.^$").find(text_[at_]) != std::string_view::npos) refuse();
    else read_set(false);
    const auto length = static_cast<std::ptrdiff_t>(moves_.size() - start);
    if (take("?")) {
      insert(start, Kind::kSplit, 1, length + 1);
    } else if (take("*")) {
      insert(start, Kind::kSplit, 1, length + 2);
      insert(moves_.size(), Kind::kJump, -length - 1);
    } else if (take("+")) {
      insert(moves_.size(), Kind::kSplit, -length, 1);
    }
    const bool more =
        at_ < text_.size() && std::string_view("?*+{").find(text_[at_]) != std::string_view::npos;
    if (more) refuse();  // lazy or possessive
  }

  void read_alternatives(int depth) {
    const std::size_t start = moves_.size();
    if (depth > kMostDepth) refuse();
    while (at_ < text_.size() && text_[at_] != '|' && text_[at_] != ')') read_term(depth);
    if (!take("|")) return;
    insert(start, Kind::kSplit, 1, static_cast<std::ptrdiff_t>(moves_.size() - start) + 2);
    const std::size_t jump = moves_.size();
    insert(jump, Kind::kJump, 0);
    read_alternatives(depth + 1);
    moves_[jump].a = static_cast<std::ptrdiff_t>(moves_.size() - jump);
  }

  std::string text_;
  std::size_t at_ = 0;
  std::vector<Set> sets_;
  std::vector<Move> moves_;
};

}  // namespace edgernn
