package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

// Golden compares text with a stored file. With EMATIX_GOLDEN=write in the environment (make golden) the file is written instead.
func Golden(t testing.TB, file, text string) {
	t.Helper()
	if os.Getenv("EMATIX_GOLDEN") == "write" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	stored, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n`make golden` writes it.", err)
	}
	if string(stored) != text {
		t.Errorf("%s differs (`make golden` writes it anew).\n--- stored\n%s\n--- now\n%s", file, stored, text)
	}
}
