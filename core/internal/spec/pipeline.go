package spec

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// Mode is what a load does with the target.
type Mode string

// The five modes; scd1 is another name for merge, kept in the run history as it was given.
const (
	Append   Mode = "append"
	Truncate Mode = "truncate"
	Merge    Mode = "merge"
	SCD1     Mode = "scd1"
	SCD2     Mode = "scd2"
)

// Modes are all of them.
var Modes = []Mode{Append, Truncate, Merge, SCD1, SCD2}

// Keyed reports whether loads of the mode compare by key.
func (m Mode) Keyed() bool { return m == Merge || m == SCD1 || m == SCD2 }

// Pipeline describes a pipeline with URLs, as the dataclasses of ematix_flow.pipeline do. It runs nothing.
type Pipeline struct {
	Name   string         `json:"name"`
	Source PipelineSource `json:"source"`
	Target PipelineTarget `json:"target"`
	Mode   Mode           `json:"mode"`
	Keys   []string       `json:"keys"`
}

// PipelineSource is where rows come from.
type PipelineSource struct {
	Connection string `json:"connection"`
	Query      string `json:"query"`
}

// PipelineTarget is where rows go.
type PipelineTarget struct {
	Connection string `json:"connection"`
	Schema     string `json:"schema"`
	Table      string `json:"table"`
}

// DecodePipeline reads a pipeline spec, cleans and checks it.
func DecodePipeline(text []byte) (*Pipeline, error) {
	f, err := object(text, "the pipeline spec", "name", "source", "target", "mode", "keys")
	if err != nil {
		return nil, err
	}
	p := &Pipeline{Keys: []string{}}
	var source, target json.RawMessage
	var mode string
	for _, err := range []error{f.trimmed("name", &p.Name), f.read("source", &source), f.read("target", &target), f.read("mode", &mode)} {
		if err != nil {
			return nil, err
		}
	}
	p.Mode = Mode(mode)
	if err := p.decodeEnds(source, target); err != nil {
		return nil, err
	}
	var keys []string
	if _, found := f.members["keys"]; found {
		if err := f.read("keys", &keys); err != nil {
			return nil, err
		}
	}
	for _, key := range keys {
		if key = strings.TrimSpace(key); !slices.Contains(p.Keys, key) {
			p.Keys = append(p.Keys, key)
		}
	}
	return p, p.check()
}

func (p *Pipeline) decodeEnds(source, target []byte) error {
	s, err := object(source, "source", "connection", "query")
	if err != nil {
		return err
	}
	t, err := object(target, "target", "connection", "schema", "table")
	if err != nil {
		return err
	}
	for _, err := range []error{
		s.trimmed("connection", &p.Source.Connection), s.trimmed("query", &p.Source.Query),
		t.trimmed("connection", &p.Target.Connection), t.trimmed("schema", &p.Target.Schema), t.trimmed("table", &p.Target.Table),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Pipeline) check() error {
	for _, field := range []struct{ path, value string }{
		{"name", p.Name}, {"source.connection", p.Source.Connection}, {"source.query", p.Source.Query},
		{"target.connection", p.Target.Connection}, {"target.schema", p.Target.Schema}, {"target.table", p.Target.Table},
	} {
		if field.value == "" {
			return fault.New(fault.InvalidSpec, "The pipeline spec has an empty %s.", field.path)
		}
	}
	if !slices.Contains(Modes, p.Mode) {
		return fault.New(fault.InvalidSpec, "There is no mode %q: it is append, truncate, merge, scd1 or scd2.", p.Mode)
	}
	if slices.Contains(p.Keys, "") {
		return fault.New(fault.InvalidSpec, "The pipeline spec has an empty key.")
	}
	if p.Mode.Keyed() && len(p.Keys) == 0 {
		return fault.New(fault.InvalidSpec, "The mode %q needs at least one key column in keys.", p.Mode)
	}
	return nil
}

// JSON is the normalised spec.
func (p *Pipeline) JSON() string { return encode(p) }
