package edgernn

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"
)

const (
	mostManifestBytes = 1 << 26
	mostBytes         = 1 << 31 // of one file: it is read whole
)

// Bundle is a folder or a .edgernn file: the manifest, and files that are what the manifest says. Every file that it
// lists was of its size and digest when it was opened; what is read later is judged again.
type Bundle struct {
	Manifest Manifest
	read     func(name string, most int64) ([]byte, error) // nil where there is none
	stored   Tensors
}

// Open reads the manifest of a bundle and judges every file that it lists.
func Open(place string) (*Bundle, error) {
	found, err := os.Stat(place)
	if err != nil {
		return nil, refuse("there is no bundle %s (%v); give a bundle's folder or its .edgernn file", place, err)
	}
	made := &Bundle{}
	if found.IsDir() {
		made.read, err = folder(place)
	} else {
		made.read, err = packed(place, found)
	}
	if err != nil {
		return nil, err
	}
	text, err := made.read(manifestName, mostManifestBytes)
	if err == nil && text == nil {
		err = refuse("there is no %s in %s; give a bundle: edgernn export makes one", manifestName, place)
	}
	if err != nil {
		return nil, err
	}
	if made.Manifest, err = readManifest(text); err != nil {
		return nil, err
	}
	for name := range made.Manifest.Files {
		if _, err := made.file(name); err != nil {
			return nil, err
		}
	}
	return made, made.readStored()
}

// Recorded returns the recorded run.
func (b *Bundle) Recorded() (Tensors, error) {
	if b.Manifest.Golden == "" {
		return nil, refuse("the bundle has no recorded run, expected one; export the bundle again")
	}
	content, err := b.file(b.Manifest.Golden)
	if err != nil {
		return nil, err
	}
	return readSafetensors(content, b.Manifest.Golden)
}

// file reads one of the manifest's files.
func (b *Bundle) file(name string) ([]byte, error) {
	digest, listed := b.Manifest.Files[name]
	if !listed {
		return nil, refuse("%s is not among the files of %s; export the bundle again", name, manifestName)
	}
	content, err := b.read(name, min(digest.Bytes, mostBytes))
	own := fmt.Sprintf("%x", sha256.Sum256(content))
	switch {
	case err != nil:
		return nil, err
	case content == nil:
		return nil, refuse("there is no %s, which %s lists; copy or export the bundle again", name, manifestName)
	case int64(len(content)) != digest.Bytes:
		return nil, refuse("%s has %d bytes, expected %d; copy or export the bundle again", name, len(content), digest.Bytes)
	case own != digest.SHA256:
		return nil, refuse("%s has the SHA-256 %.12s…, expected %.12s…; copy or export the bundle again", name, own, digest.SHA256)
	}
	return content, nil
}

func (b *Bundle) readStored() error {
	b.stored = Tensors{}
	contract := b.Manifest.Contract
	for _, spec := range of(contract.Step.Inputs, "state") {
		if contract.First[spec.Name] != "stored" {
			continue
		}
		content, err := b.file(b.Manifest.InitialState)
		if err != nil {
			return err
		}
		found, err := readSafetensors(content, b.Manifest.InitialState)
		if err != nil {
			return err
		}
		shape, err := contract.shape(spec, nil)
		own, there := found[spec.Name]
		if err != nil || !there || own.Dtype != spec.Dtype || fmt.Sprint(own.Shape) != fmt.Sprint(shape) {
			return refuse("%s has no first value of %s as the contract says; export the bundle again",
				b.Manifest.InitialState, spec.Name)
		}
		b.stored[spec.Name] = own
	}
	return nil
}

// checkPath refuses the name of a file that leads out of a bundle.
func checkPath(name string) error {
	foreign := func(c rune) bool { return c == '\\' || c == ':' || unicode.IsControl(c) }
	if !fs.ValidPath(name) || strings.ContainsFunc(name, foreign) {
		return refuse("%s names %q, expected a path inside the bundle; do not use this bundle", manifestName, name)
	}
	return nil
}

// folder returns what reads a plain file of a folder; no link leads out of it.
func folder(place string) (func(string, int64) ([]byte, error), error) {
	root, err := os.OpenRoot(place)
	if err != nil {
		return nil, refuse("%s cannot be opened (%v); check its rights", place, err)
	}
	return func(name string, most int64) ([]byte, error) {
		if err := checkPath(name); err != nil {
			return nil, err
		}
		found, err := root.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, nil
		case err != nil:
			return nil, refuse("%s leads out of the bundle or cannot be read (%v); do not use this bundle", name, err)
		case !found.Mode().IsRegular(): // of a pipe the reader would wait
			return nil, refuse("%s is no plain file; copy or export the bundle again", name)
		case found.Size() > most:
			return nil, refuse("%s has %d bytes, expected %d; copy or export the bundle again", name, found.Size(), most)
		}
		file, err := root.Open(name)
		if err != nil {
			return nil, refuse("%s cannot be read (%v); check its rights", name, err)
		}
		defer file.Close()
		return readMost(file, name, most)
	}, nil
}

// packed returns what reads a file of a zip, which is held in memory: nothing is ever unpacked to the disk.
func packed(place string, found fs.FileInfo) (func(string, int64) ([]byte, error), error) {
	if !found.Mode().IsRegular() || found.Size() > mostBytes {
		return nil, refuse("%s is no plain file of at most 2 GB; give a bundle's folder or its .edgernn file", place)
	}
	whole, err := os.ReadFile(place)
	if err != nil {
		return nil, refuse("%s cannot be read (%v); check its rights", place, err)
	}
	archive, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		return nil, refuse("%s is no zip (%v), expected a .edgernn file as edgernn export writes it; copy it again", place, err)
	}
	entries := map[string]*zip.File{}
	for _, entry := range archive.File {
		if entries[entry.Name] != nil {
			return nil, refuse("%s holds %s twice, expected each file once; do not use this bundle", place, entry.Name)
		}
		entries[entry.Name] = entry
	}
	return func(name string, most int64) ([]byte, error) {
		entry := entries[name]
		if err := checkPath(name); err != nil || entry == nil {
			return nil, err
		}
		if entry.UncompressedSize64 > uint64(max(0, most)) {
			return nil, refuse("%s in %s has %d bytes, expected %d; copy or export the bundle again",
				name, place, entry.UncompressedSize64, most)
		}
		if entry.Method != zip.Store && entry.Method != zip.Deflate {
			return nil, refuse("%s in %s is packed with method %d, expected 0 or 8; pack it with edgernn export",
				name, place, entry.Method)
		}
		file, err := entry.Open()
		if err != nil {
			return nil, refuse("%s in %s cannot be unpacked (%v); copy the bundle again", name, place, err)
		}
		defer file.Close()
		return readMost(file, name, most)
	}, nil
}

func readMost(file io.Reader, name string, most int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, refuse("%s is damaged or cannot be read (%v); copy or export the bundle again", name, err)
	}
	return content, nil
}
