package pg

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	secretQuery = regexp.MustCompile(`(?i)([?&](?:password|sslpassword)=)[^&#]*`)
	secretKey   = regexp.MustCompile(`(?i)\b((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s]*)`)
	urlStart    = regexp.MustCompile(`(?i)^(postgres(?:ql)?|embedded)://`)
	keyValue    = regexp.MustCompile(`^\s*[a-z_]+\s*=`)
)

// Redact shows a DSN without its secrets: the password of the user part (which ends at the last @ before the query), of the query part, and of libpq's
// key=value form. A text that is none of these forms is shown as ***.
func Redact(raw string) string {
	if strings.HasPrefix(raw, "embedded:") && !strings.ContainsAny(raw, "@?") {
		return raw
	}
	scheme := urlStart.FindString(raw)
	if scheme == "" {
		if keyValue.MatchString(raw) {
			return secretKey.ReplaceAllString(raw, "${1}***")
		}
		return "***"
	}
	rest := raw[len(scheme):]
	// A password may hold unencoded ? / : and @, so the user part ends at the last @ of the whole text that is followed by something like a host.
	user, host := "", rest
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, host = rest[:i], rest[i+1:]
	}
	if _, err := url.Parse(scheme + host); err != nil {
		return "***"
	}
	if i := strings.IndexByte(user, ':'); i >= 0 {
		user = user[:i] + ":***"
	} else if strings.ContainsAny(user, "?/") {
		return "***" // the @ stands in the query part, where a secret may be cut in two
	}
	shown := scheme
	if strings.ContainsRune(rest, '@') {
		shown += user + "@"
	}
	return shown + secretQuery.ReplaceAllString(host, "${1}***")
}
