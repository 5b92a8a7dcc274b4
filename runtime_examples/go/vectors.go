package edgernn

import (
	"math"
	"slices"
)

type sampleVectors struct {
	Version   int    `json:"version"`
	Generator string `json:"generator"`
	Uniforms  []struct {
		Seed     *uint64   `json:"seed"`
		Position *uint64   `json:"position"`
		Values   []float64 `json:"values"`
	} `json:"uniforms"`
	Tokens []struct {
		Logits   []float32 `json:"logits"`
		Suppress []int64   `json:"suppress"`
		Uniform  float64   `json:"uniform"`
		Token    int       `json:"token"`
		Sampling `json:",inline"`
	} `json:"tokens"`
}

// CheckSampler replays sampler.json: how many random numbers and tokens are not the recorded ones, without end where
// it records none; no line where the bundle has no vectors.
func CheckSampler(bundle *Bundle) ([]Line, error) {
	name := bundle.Manifest.Sampler
	if name == "" {
		return nil, nil
	}
	content, err := bundle.file(name)
	if err != nil {
		return nil, err
	}
	var vectors sampleVectors
	if err := readJSON(content, &vectors, name); err != nil {
		return nil, err
	}
	if vectors.Version != 1 || vectors.Generator != "splitmix64" {
		return nil, refuse("%s is of version %d and %q, expected 1 and splitmix64; use a host that reads it", name, vectors.Version, vectors.Generator)
	}
	var numbers, tokens []bool
	for _, group := range vectors.Uniforms {
		if group.Seed == nil || group.Position == nil {
			return nil, refuse("%s has numbers without a seed or a position; export the bundle again", name)
		}
		for at, value := range group.Values {
			numbers = append(numbers, value == UniformAt(*group.Seed, *group.Position+uint64(at)))
		}
	}
	for _, choice := range vectors.Tokens {
		logits := slices.Clone(choice.Logits)
		if err := Suppress(logits, choice.Suppress); err != nil {
			return nil, err
		}
		token, err := Sample(logits, choice.Sampling, choice.Uniform)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token == choice.Token)
	}
	return []Line{{Name: "uniforms", Worst: wrong(numbers)}, {Name: "sampler", Worst: wrong(tokens)}}, nil
}

func wrong(right []bool) float64 {
	if len(right) == 0 {
		return math.Inf(1)
	}
	count := 0
	for _, each := range right {
		if !each {
			count++
		}
	}
	return float64(count)
}
