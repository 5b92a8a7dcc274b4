// From logits to one token, and the uniform numbers that decide.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor.hpp"

namespace edgernn {

// temperature 0 is greedy; top_k 0 and top_p 1 keep the whole vocabulary.
struct Sampling {
  double temperature = 0.8;
  std::int64_t top_k = 0;
  double top_p = 1;
};

inline void check(const Sampling& options) {
  if (!(options.temperature >= 0 && std::isfinite(options.temperature))) {
    throw BundleError("--temperature is " + std::to_string(options.temperature) +
                      ", expected 0 (greedy) or more");
  }
  if (options.top_k < 0) {
    throw BundleError("--top-k is " + std::to_string(options.top_k) + ", expected 0 (all tokens) or more");
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    throw BundleError("--top-p is " + std::to_string(options.top_p) + ", expected above 0 and at most 1");
  }
}

// Makes ids impossible.
inline void suppress(std::vector<float>& logits, const std::vector<std::int64_t>& ids) {
  for (const std::int64_t id : ids) {
    if (id < 0 || id >= static_cast<std::int64_t>(logits.size())) {
      throw BundleError("the id " + std::to_string(id) + " is suppressed, the model has " +
                        std::to_string(logits.size()) + " tokens; export the bundle again");
    }
    logits[static_cast<std::size_t>(id)] = -HUGE_VALF;
  }
}

// Chooses a token id. `logits` [V], minus infinity where a token must not come; `uniform` in [0, 1) decides,
// so that the same numbers give the same text everywhere. Ties go to the lower id.
inline std::int64_t sample(const std::vector<float>& logits, const Sampling& options, double uniform) {
  const bool bad =
      std::any_of(logits.begin(), logits.end(), [](float x) { return std::isnan(x) || x == HUGE_VALF; });
  if (logits.empty() || bad) {
    throw BundleError("the logits are empty or not finite; replay the golden run with --check");
  }
  const auto best = std::max_element(logits.begin(), logits.end());  // of equal ones the first
  if (std::isinf(*best)) {
    throw BundleError("every token is suppressed; expected at least one that may be written");
  }
  if (options.temperature == 0) return best - logits.begin();
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return logits[a] > logits[b]; });
  if (options.top_k > 0 && options.top_k < static_cast<std::int64_t>(order.size())) {
    order.resize(options.top_k);
  }
  std::vector<double> cumulative;
  double total = 0;
  for (const std::int64_t id : order) {
    cumulative.push_back(total += std::exp((static_cast<double>(logits[id]) - *best) / options.temperature));
  }
  for (double& value : cumulative) value /= total;  // ends in exactly 1
  if (options.top_p < 1) {
    cumulative.erase(std::lower_bound(cumulative.begin(), cumulative.end(), options.top_p) + 1,
                     cumulative.end());
    const double kept = cumulative.back();
    for (double& value : cumulative) value /= kept;
  }
  const auto chosen = std::upper_bound(cumulative.begin(), cumulative.end(), uniform);
  return order[std::min<std::size_t>(chosen - cumulative.begin(), cumulative.size() - 1)];
}

// The number in [0, 1) of a seed that decides the token at `position`: SplitMix64 (Steele et al. 2014), as in
// every example.
inline double uniform_at(std::uint64_t seed, std::uint64_t position) {
  std::uint64_t z = seed + (position + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

}  // namespace edgernn
