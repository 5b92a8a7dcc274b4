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

constexpr std::size_t kPrefillSteps = 256;        // a longer prompt goes in as several calls, so that memory stays bounded
constexpr std::size_t kMostLogits = 1u << 20;  // of one such call: 4 MB

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

// Feeds `ids`, one at a time or many where the model takes several, and leaves the state after them in `state`.
inline std::vector<float> prefill(const Model& model, const std::vector<std::int64_t>& ids, const Tensors& contexts, State& state) {
  const std::string tokens = model.bundle.contract.token_input().name, logits = model.bundle.contract.logits_output().name;
  const auto vocabulary = static_cast<std::size_t>(model.bundle.contract.shape(model.bundle.contract.logits_output()).back());
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

// Writes token ids after `pending` from `state`. `on_token` hears each one as it comes.
inline std::vector<std::int64_t> write(const Model& model, std::vector<std::int64_t> pending, State state,
                                       const Tensors& contexts, const Options& options, const OnToken& on_token) {
  const Bundle& bundle = model.bundle;
  const Decoding& decoding = bundle.decoding;
  const auto length = decoding.length > 0 ? std::min(options.length, decoding.length) : options.length;
  const auto ends = [&](std::int64_t id) { return std::count(decoding.stop.begin(), decoding.stop.end(), id) > 0; };
  std::vector<std::int64_t> written;
  if (pending.empty()) throw BundleError("there is no token to feed; give a prompt of at least one character");
  while (static_cast<std::int64_t>(written.size()) < length) {
    std::vector<float> row = prefill(model, pending, contexts, state);
    suppress(row, decoding.suppress);
    const std::int64_t token = sample(row, options.sampling, uniform_at(options.seed, written.size()));
    if (ends(token)) break;  // ends the text and is no part of it
    written.push_back(token);
    on_token(token);
    pending = {token};
  }
  return written;
}

// Writes a text after `prompt`; an empty one begins with the bundle's start tokens.
inline std::vector<std::int64_t> generate(const Model& model, const Tokenizer& tokenizer, std::string_view prompt,
                                          const Options& options, const OnToken& on_token) {
  if (model.bundle.contract.encodes()) throw BundleError("this bundle is a captioner and writes about pictures; give --image FILE");
  std::vector<std::int64_t> ids = tokenizer.encode(prompt);
  if (ids.empty()) ids = model.bundle.decoding.start;
  return write(model, std::move(ids), model.initial_state(), {}, options, on_token);
}

// Writes the caption of `image`, uint8 [1, height, width, channels].
inline std::vector<std::int64_t> caption(const Model& model, const Tensor& image, const Options& options,
                                         const OnToken& on_token) {
  const auto fresh = Graph::with_role(model.bundle.contract.graph("encode").inputs, "input");
  if (fresh.size() != 1) throw BundleError("encode takes " + std::to_string(fresh.size()) + " inputs, expected one picture");
  Results looked = model.encode({{fresh[0].name, image}});
  return write(model, model.bundle.decoding.start, std::move(looked.state), looked.outputs, options, on_token);
}

}  // namespace edgernn
