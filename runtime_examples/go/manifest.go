package edgernn

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"regexp"
	"strings"
)

const manifestName = "manifest.json"

// Manifest is what of manifest.json a host reads.
type Manifest struct {
	Contract  *Contract
	Artifacts []Artifact
	// Files has every file of the bundle but the model files.
	Files     map[string]Digest
	Tokenizer *TokenizerEntry // nil where it writes no text
	Decoding  Decoding
	// The files of the recorded run, of the sampler's vectors and of the stored first values; "" where there is none.
	Golden, Sampler, InitialState string
}

// Digest says what a file must be.
type Digest struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Artifact is one model file.
type Artifact struct {
	Path      string   `json:"path"`
	Format    string   `json:"format"`
	Precision string   `json:"precision"`
	Graph     string   `json:"graph"`
	SHA256    string   `json:"sha256"`
	Tolerance *float64 `json:"tolerance"`
	Forced    bool     `json:"forced"`
	Narrowing struct {
		Axes         map[string]int    `json:"axes"`
		Dtypes       map[string]string `json:"dtypes"`
		RuntimeState bool              `json:"runtime_state"`
	} `json:"narrowing"`
	Parity struct {
		Tolerance *float64 `json:"tolerance"`
	} `json:"parity"`
	Requires map[string]string `json:"requires"`
}

// TokenizerEntry says which tokenizer it is, and what a text must give.
type TokenizerEntry struct {
	Kind string  `json:"kind"`
	Path string  `json:"path"`
	Text string  `json:"text"`
	IDs  []int64 `json:"ids"`
}

// Decoding says how a text begins and ends, and how tokens are chosen where nothing else is asked for.
type Decoding struct {
	Start    []int64 `json:"start"`
	Stop     []int64 `json:"stop"`
	Suppress []int64 `json:"suppress"`
	Length   int     `json:"length"` // the most tokens; 0 where there is no limit
	Sampling `json:",inline"`
}

var versionNumber = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`)

// promise returns how far a file may be from the recorded run; forced: each step from the recorded state, relative.
// Before schema version 2 an artifact has no tolerance of its own: then it is the one that it was packed with, and
// forced where its numbers are no floats.
func (a Artifact) promise() (tolerance float64, forced bool, err error) {
	switch {
	case a.Tolerance != nil:
		return *a.Tolerance, a.Forced, nil
	case a.Parity.Tolerance != nil:
		return *a.Parity.Tolerance, !strings.HasPrefix(a.Precision, "float"), nil
	}
	return 0, false, refuse("%s does not say how far %s may be from the golden run, expected its tolerance; "+
		"export the bundle again", manifestName, a.Path)
}

func (a Artifact) check() error {
	if a.Tolerance != nil && *a.Tolerance < 0 {
		return refuse("%s has the tolerance %g, expected 0 or more; export the bundle again", a.Path, *a.Tolerance)
	}
	if needed, named := a.Requires["onnxruntime"]; named && !versionNumber.MatchString(needed) {
		return refuse("%s requires onnxruntime %s, which is no version; export the bundle again", a.Path, needed)
	}
	return checkPath(a.Path)
}

// readJSON reads strict JSON, in which no object has a name twice; source names it in errors.
func readJSON(text []byte, into any, source string) error {
	if err := json.Unmarshal(text, into); err != nil {
		return refuse("%s is damaged: %v; export the bundle again", source, err)
	}
	return nil
}

// readManifest reads manifest.json; an error names the member that is damaged.
func readManifest(text []byte) (Manifest, error) {
	var members map[string]jsontext.Value
	made := Manifest{Decoding: Decoding{Sampling: Sampling{Temperature: -1}}}
	if err := readJSON(text, &members, manifestName); err != nil {
		return made, err
	}
	version, contract := int64(0), rawContract{}
	for _, each := range []struct {
		name     string
		into     any
		required bool
	}{
		{"schema_version", &version, true}, {"contract", &contract, true}, {"artifacts", &made.Artifacts, true},
		{"files", &made.Files, true}, {"tokenizer", &made.Tokenizer, false}, {"decoding", &made.Decoding, false},
		{"golden", &made.Golden, false}, {"sampler", &made.Sampler, false}, {"initial_state", &made.InitialState, false},
	} {
		raw, there := members[each.name]
		if each.required && (!there || raw.Kind() == 'n') {
			return made, refuse("%s has no %q; export the bundle again", manifestName, each.name)
		}
		if there {
			if err := readJSON(raw, each.into, manifestName+": "+each.name); err != nil {
				return made, err
			}
		}
		if each.name == "schema_version" && version != 1 && version != 2 {
			return made, refuse("%s has schema_version %d, expected 1 or 2; use a host that reads it", manifestName, version)
		}
	}
	if members["decoding"] == nil || members["decoding"].Kind() == 'n' {
		made.Decoding.Sampling = Sampling{Temperature: 0.8, TopP: 1}
	}
	if err := made.Decoding.Sampling.Check(); err != nil {
		return made, err
	}
	for _, artifact := range made.Artifacts {
		if err := artifact.check(); err != nil {
			return made, err
		}
	}
	var err error
	made.Contract, err = newContract(contract, version)
	return made, err
}
