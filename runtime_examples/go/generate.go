package edgernn

import "slices"

// Options say how much to write and how.
type Options struct {
	Length   int    // the most tokens
	Seed     uint64 // of the random numbers, one a token
	Sampling        // none is the bundle's own; in any other a TopP of 0 keeps all
}

// Writing is a text that goes on with every token that is asked for.
type Writing struct {
	Contexts, State Tensors // after all tokens that were fed
	model           *Model
	options         Options
	position        uint64
	pending         []int64
}

// Generate writes a text after a prompt; an empty one begins with the bundle's start tokens.
func (m *Model) Generate(tokenizer *Tokenizer, prompt string, options Options) (*Writing, error) {
	ids, err := tokenizer.Encode(prompt)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		vocabulary := int64(m.Bundle.Manifest.Contract.Vocabulary())
		ids = m.Bundle.Manifest.Decoding.Start
		if len(ids) == 0 || slices.Min(ids) < 0 || slices.Max(ids) >= vocabulary {
			return nil, refuse("decoding.start in %s is %v, expected ids of 0 to %d; give a prompt", manifestName, ids, vocabulary-1)
		}
	}
	contexts, state, err := m.Begin(nil)
	if err != nil {
		return nil, err
	}
	return m.Write(ids, contexts, state, options)
}

// Write feeds ids, one or more, then samples and feeds back, from where a sequence was begun.
func (m *Model) Write(ids []int64, contexts, state Tensors, options Options) (*Writing, error) {
	if err := m.requireText(); err != nil {
		return nil, err
	}
	if options.Sampling == (Sampling{}) {
		options.Sampling = m.Bundle.Manifest.Decoding.Sampling
	} else if options.TopP == 0 {
		options.TopP = 1
	}
	if err := options.Sampling.Check(); err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, refuse("there is no token to begin with, expected one or more; give a prompt")
	}
	if most := m.Bundle.Manifest.Decoding.Length; most > 0 {
		options.Length = min(options.Length, most)
	}
	return &Writing{contexts, state, m, options, 0, ids}, nil
}

// requireText refuses a model that does not write: tokens in, scores of tokens out.
func (m *Model) requireText() error {
	contract := m.Bundle.Manifest.Contract
	ids, scores := contract.IDs(), contract.Scores()
	good := ids != nil && scores != nil && len(of(contract.Step.Inputs, "input")) == 1 && contract.StepFrames == 1 &&
		ids.Dtype == "int64" && scores.Dtype == "float32" &&
		m.places[ids.Name].Bytes == 8 && m.places[scores.Name].Bytes == 4*contract.Vocabulary()
	if !good {
		return refuse("this bundle takes other than one token a step, so this host writes no text with it; step it, or --check it")
	}
	return nil
}

// Next returns the next token; there is none after one that ends a text, or after the length.
func (w *Writing) Next() (token int64, more bool, err error) {
	if w.position >= uint64(w.options.Length) {
		return 0, false, nil
	}
	contract, decoding := w.model.Bundle.Manifest.Contract, w.model.Bundle.Manifest.Decoding
	ids, scores := contract.IDs().Name, contract.Scores().Name
	var outputs Tensors
	for _, id := range w.pending {
		inputs := Tensors{ids: Int64s([]int64{id}, w.model.places[ids].Shape...)}
		for name, context := range w.Contexts {
			inputs[name] = context
		}
		if outputs, w.State, err = w.model.Step(inputs, w.State); err != nil {
			return 0, false, err
		}
	}
	var logits []float32
	for _, score := range outputs[scores].Numbers() {
		logits = append(logits, float32(score))
	}
	if err := Suppress(logits, decoding.Suppress); err != nil {
		return 0, false, err
	}
	chosen, err := Sample(logits, w.options.Sampling, UniformAt(w.options.Seed, w.position))
	if err != nil {
		return 0, false, err
	}
	token = int64(chosen)
	w.position, w.pending = w.position+1, []int64{token}
	if slices.Contains(decoding.Stop, token) {
		w.options.Length = 0
	}
	return token, true, nil
}
