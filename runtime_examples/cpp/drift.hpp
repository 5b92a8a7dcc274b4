// How far a run is from the recorded one, tensor by tensor.
#pragma once

#include <cstdio>

#include "bundle.hpp"

namespace edgernn {

// How far one tensor went from the recording.
struct Line {
  std::string name;
  double worst, tolerance;
  std::vector<double> steps = {};  // how far it is off at each step, where there are steps
  bool ok() const { return worst <= tolerance; }  // a measure that is no number fails

  // What is said of it; of one that failed, at which step it was off first, and how far.
  std::string verdict() const {
    if (ok()) return "ok";
    const auto off = [this](double apart) { return !(apart <= tolerance); };
    const auto first = std::find_if(steps.begin(), steps.end(), off);
    if (first == steps.end()) return "FAILED";
    char by[32];
    std::snprintf(by, sizeof by, "%.1e", *first);
    return "FAILED: parts at step " + std::to_string(first - steps.begin()) + " of 0 to " +
           std::to_string(steps.size() - 1) + " by " + by;
  }
};

// How far the file may be from the recording, as the manifest says.
inline double tolerance_of(const Artifact& artifact) {
  if (artifact.tolerance) return *artifact.tolerance;
  throw BundleError("manifest.json does not say how far " + artifact.path +
                    " may be from the golden run; expected its tolerance; "
                    "export the bundle again");
}

// The differences of one tensor over a run.
class Drift {
 public:
  void add(const std::vector<double>& expected, const std::vector<double>& found) {
    Step step;
    double squares = 0, difference_squares = 0;
    for (std::size_t index = 0; index < expected.size(); ++index) {
      const double apart = expected[index] - found[index];
      const double size = std::isfinite(expected[index]) ? expected[index] : 0;
      step.finite = step.finite && std::isfinite(apart);
      largest_ = std::max(largest_, std::abs(size));
      step.difference = std::max(step.difference, std::abs(apart));
      squares += size * size, difference_squares += apart * apart;
    }
    const auto n = static_cast<double>(std::max<std::size_t>(expected.size(), 1));
    step.size = std::sqrt(squares / n), step.apart = std::sqrt(difference_squares / n);
    steps_.push_back(step);
  }

  // How far it is off at each step; infinitely where a value is not finite.
  std::vector<double> steps(bool forced) const {
    constexpr double kLeast = 1e-3;  // a tensor smaller than this in every value is as good as zero
    double squares = 0;
    for (const Step& step : steps_) squares += step.size * step.size;
    const double over_run = std::sqrt(squares / static_cast<double>(steps_.size()));
    std::vector<double> made;
    for (const Step& step : steps_) {
      const double off = forced ? step.apart / std::max({step.size, over_run, kLeast})
                                : step.difference / std::max(1.0, largest_);
      made.push_back(step.finite ? off : std::numeric_limits<double>::infinity());
    }
    return made;
  }

 private:
  struct Step {
    double difference = 0, size = 0, apart = 0;  // the largest; root mean squares: recorded, of the difference
    bool finite = true;
  };
  double largest_ = 0;
  std::vector<Step> steps_;
};

// The drifts of a run by row, in the order in which the rows came.
class Drifts {
 public:
  Drift& at(const std::string& name) {
    const auto [found, fresh] = places_.emplace(name, rows_.size());
    if (fresh) rows_.emplace_back(name, Drift());
    return rows_[found->second].second;
  }

  void write(const Artifact& artifact, bool once, std::vector<Line>& lines) const {
    for (const auto& [name, drift] : rows_) {
      const std::vector<double> steps = drift.steps(artifact.forced);
      const double worst = *std::max_element(steps.begin(), steps.end());
      lines.push_back({name, worst, tolerance_of(artifact), once ? std::vector<double>() : steps});
    }
  }

 private:
  std::map<std::string, std::size_t> places_;
  std::vector<std::pair<std::string, Drift>> rows_;
};

}  // namespace edgernn
