// From a prompt to a text, and from a picture to a caption: feed, sample, feed back.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>

#include "sampler.hpp"
#include "model.hpp"
#include "tokenizer.hpp"

namespace edgernn {

struct Options {
  std::int64_t length = 200;
  Sampling sampling;
  std::uint64_t seed = 0;  // of the random numbers, one a token; any
};

// A longer prompt goes in as several calls, so that memory stays bounded: tokens, and logits of 4 MB, of one
// call.
constexpr std::size_t kPrefillSteps = 256;
constexpr std::size_t kMostLogits = 1u << 20;

// How many tokens go into one call of a model that takes several.
inline std::size_t prefill_width(std::size_t vocabulary) {
  return std::clamp<std::size_t>(kMostLogits / std::max<std::size_t>(vocabulary, 1), 1, kPrefillSteps);
}

using OnToken = std::function<void(std::int64_t)>;

// What the last token of a step's logits [1, T, V] is, [V].
inline std::vector<float> last_row(const Tensor& logits) {
  const std::vector<double> all = logits.numbers();
  return {all.end() - logits.shape.back(), all.end()};
}

// Feeds `ids`, one at a time or many where the model takes several, and leaves the state after them in
// `state`.
inline std::vector<float> prefill(const Model& model, const std::vector<std::int64_t>& ids,
                                  const Tensors& contexts, State& state) {
  const std::string tokens = model.bundle.contract.token_input().name,
                    logits = model.bundle.contract.logits_output().name;
  const auto vocabulary =
      static_cast<std::size_t>(model.bundle.contract.shape(model.bundle.contract.logits_output()).back());
  const std::size_t most = model.open_time() ? prefill_width(vocabulary) : 1;
  Results results;
  for (auto at = ids.begin(); at != ids.end();) {
    const auto width = std::min(static_cast<std::ptrdiff_t>(most), ids.end() - at);
    Tensors inputs = contexts;
    inputs[tokens] = token_row({at, at + width});
    at += width;
    results = model.step(inputs, state);
    state = std::move(results.state);
  }
  return last_row(results.outputs.at(logits));
}

// What is fed where there is no prompt.
inline const std::vector<std::int64_t>& start_tokens(const Bundle& bundle) {
  const std::vector<std::int64_t>& start = bundle.decoding.start;
  const std::int64_t vocabulary = bundle.contract.shape(bundle.contract.logits_output()).back();
  if (start.empty() ||
      std::any_of(start.begin(), start.end(), [&](std::int64_t id) { return id >= vocabulary; })) {
    throw BundleError(
        "decoding.start in manifest.json is empty or has an id that the model lacks, expected ids of 0 to " +
        std::to_string(vocabulary - 1) + "; give a prompt");
  }
  return start;
}

// Whether an id ends a text.
inline bool ends(const Decoding& decoding, std::int64_t id) {
  return std::count(decoding.stop.begin(), decoding.stop.end(), id) > 0;
}

// Writes token ids after `pending` from `state`, to an id that ends a text or to the length. `on_token` hears
// each as it comes.
inline std::vector<std::int64_t> write(const Model& model, std::vector<std::int64_t> pending, State state,
                                       const Tensors& contexts, const Options& options,
                                       const OnToken& on_token) {
  const Bundle& bundle = model.bundle;
  const Decoding& decoding = bundle.decoding;
  const auto length = decoding.length > 0 ? std::min(options.length, decoding.length) : options.length;
  std::vector<std::int64_t> written;
  while (static_cast<std::int64_t>(written.size()) < length) {
    std::vector<float> row = prefill(model, pending, contexts, state);
    suppress(row, decoding.suppress);
    const std::int64_t token = sample(row, options.sampling, uniform_at(options.seed, written.size()));
    written.push_back(token);
    on_token(token);
    if (ends(decoding, token)) break;
    pending = {token};
  }
  return written;
}

// Writes a text after `prompt`; an empty one begins with the bundle's start tokens.
inline std::vector<std::int64_t> generate(const Model& model, const Tokenizer& tokenizer,
                                          std::string_view prompt, const Options& options,
                                          const OnToken& on_token) {
  if (model.bundle.contract.encodes()) {
    throw BundleError("this bundle is a captioner and writes about pictures; give --image FILE");
  }
  std::vector<std::int64_t> ids = tokenizer.encode(prompt);
  if (ids.empty()) ids = start_tokens(model.bundle);
  Begun begun = model.begin();
  return write(model, std::move(ids), std::move(begun.state), begun.contexts, options, on_token);
}

// Writes the caption of `image`, uint8 [1, height, width, channels].
inline std::vector<std::int64_t> caption(const Model& model, const Tensor& image, const Options& options,
                                         const OnToken& on_token) {
  const auto fresh = Graph::with_role(model.bundle.contract.graph("encode").inputs, "input");
  if (fresh.size() != 1) {
    throw BundleError("encode takes " + std::to_string(fresh.size()) + " inputs, expected one picture");
  }
  Begun begun = model.begin({{fresh[0].name, image}});
  const Decoding& decoding = model.bundle.decoding;
  const OnToken on_word = [&](std::int64_t id) {
    if (!ends(decoding, id)) on_token(id);
  };
  auto words =
      write(model, start_tokens(model.bundle), std::move(begun.state), begun.contexts, options, on_word);
  if (!words.empty() && ends(decoding, words.back())) words.pop_back();
  return words;
}

}  // namespace edgernn
