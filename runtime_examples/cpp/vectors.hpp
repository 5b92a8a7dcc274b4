// The sampler's vectors of a bundle, sampler.json: random numbers and choices of tokens that every device
// must make alike.
#pragma once

#include <limits>

#include "bundle.hpp"
#include "sampler.hpp"

namespace edgernn {

// How many random numbers and how many choices of a token are not the recorded ones; infinite where the file
// records none.
struct Tally {
  double numbers = 0, tokens = 0;
};

inline std::int64_t replay_choice(const Json& choice) {
  std::vector<float> logits;
  std::vector<std::int64_t> impossible;
  for (const Json& logit : choice.at("logits").array()) logits.push_back(static_cast<float>(logit.number()));
  for (const Json& id : choice.at("suppress").array()) impossible.push_back(id.integer());
  const Sampling options{choice.at("temperature").number(), choice.at("top_k").integer(),
                         choice.at("top_p").number()};
  check(options);
  suppress(logits, impossible);
  return sample(logits, options, choice.at("uniform").number());
}

// Nothing where the bundle has no vectors.
inline std::optional<Tally> replay_vectors(const Bundle& bundle) {
  if (bundle.sampler_path.empty()) return {};
  const Json file = Json::parse(bundle.read(bundle.sampler_path), bundle.sampler_path);
  if (file.at("version").integer() != 1 || file.at("generator").string() != "splitmix64") {
    throw BundleError(bundle.sampler_path +
                      " is not of version 1 and splitmix64; use an example that reads it");
  }
  Tally tally;
  std::size_t recorded = 0;
  for (const Json& group : file.at("uniforms").array()) {
    const auto seed = static_cast<std::uint64_t>(group.at("seed").integer());
    auto position = static_cast<std::uint64_t>(group.at("position").integer());
    for (const Json& value : group.at("values").array()) {
      ++recorded;
      tally.numbers += value.number() != uniform_at(seed, position++) ? 1 : 0;
    }
  }
  for (const Json& choice : file.at("tokens").array()) {
    tally.tokens += replay_choice(choice) != choice.at("token").integer() ? 1 : 0;
  }
  constexpr double kNone = std::numeric_limits<double>::infinity();
  if (recorded == 0) tally.numbers = kNone;
  if (file.at("tokens").array().empty()) tally.tokens = kNone;
  return tally;
}

}  // namespace edgernn
