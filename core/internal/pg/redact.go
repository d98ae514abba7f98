package pg

import (
	"net/url"
	"regexp"
	"strings"
)

// hidden stands for a secret, and for a text in which a secret cannot be told from the rest.
const hidden = "***"

var (
	urlStart      = regexp.MustCompile(`(?i)^postgres(?:ql)?://`)
	embeddedURL   = regexp.MustCompile(`^embedded:(?://)?[A-Za-z0-9_-]*/?$`)
	secretName    = regexp.MustCompile(`(?i)pass(?:word|wd|phrase)|\bpwd\b|secret|token`)
	secretInside  = regexp.MustCompile(`(?i)(?:pass(?:word|wd|phrase)|\bpwd|secret|token)[a-z_]*\s*(?:=|%3d)`)
	secretQuery   = regexp.MustCompile(`(?i)[?&][^=&@]*(?:pass|pwd|secret|token|%)[^=&@]*=`)
	nameColon     = regexp.MustCompile(`(?i):|%3a`)
	notPrintable  = regexp.MustCompile(`[\x00-\x1f\x7f]`)
	harmlessNames = names("host hostaddr port dbname user passfile channel_binding connect_timeout client_encoding options application_name " +
		"fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout replication gssencmode " +
		"sslmode sslnegotiation sslcompression sslcert sslkey sslrootcert sslcrl sslcrldir sslsni ssl_min_protocol_version " +
		"ssl_max_protocol_version requirepeer krbsrvname gsslib service target_session_attrs load_balance_hosts require_auth sslcertmode " +
		"search_path timezone statement_timeout lock_timeout")
)

func names(list string) map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(list) {
		set[name] = true
	}
	return set
}

// Redact shows a DSN without its secrets: the password of the user part (which ends at the last @, since people do not always encode theirs),
// of the query part in any spelling, and of libpq's key=value form. A text that is none of these forms is shown as ***, and so is one where
// a secret could end in more than one place.
func Redact(raw string) string {
	shown := hidden
	switch scheme := urlStart.FindString(raw); {
	case embeddedURL.MatchString(raw):
		shown = raw
	case scheme != "":
		shown = redactURL(scheme, raw[len(scheme):])
	case strings.Contains(raw, "=") && !strings.Contains(raw, "://"):
		shown = redactPairs(raw)
	}
	if notPrintable.MatchString(shown) {
		return hidden
	}
	return shown
}

func redactURL(scheme, rest string) string {
	user, host, hasUser := "", rest, false
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, host, hasUser = rest[:i], rest[i+1:], true
	}
	colon := nameColon.FindStringIndex(user)
	if secretQuery.MatchString(user) || (colon == nil && strings.ContainsAny(user, "?/#")) {
		return hidden // the @ stands in the query part or the path, where it may cut a secret in two
	}
	if _, err := url.Parse(scheme + host); err != nil {
		return hidden
	}
	if colon != nil && colon[1] < len(user) {
		user = user[:colon[1]] + hidden
	}
	shown := scheme
	if hasUser {
		shown += user + "@"
	}
	place, query, hasQuery := strings.Cut(host, "?")
	if !hasQuery {
		return shown + place
	}
	return shown + place + "?" + redactQuery(query)
}

// redactQuery hides the values of secret parameters. Behind one of them only parameters that are known stay: anything else may be the rest of
// a secret with an & in it.
func redactQuery(query string) string {
	parts := strings.Split(query, "&")
	after := false
	for i, part := range parts {
		name, value, hasValue := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		known := err == nil && harmlessNames[strings.ToLower(plain)]
		switch {
		case err != nil || (secretName.MatchString(plain) && !known):
			parts[i] = hidden
			if hasValue && err == nil {
				parts[i] = name + "=" + hidden
				if value == "" {
					parts[i] = part
				}
			}
			after = true
		case after && (!known || !hasValue):
			parts[i] = hidden
		case holdsSecret(value):
			parts[i] = name + "=" + hidden
		}
	}
	return strings.Join(parts, "&")
}

// holdsSecret reports whether a value, such as that of `options`, has an assignment to something secret in it.
func holdsSecret(value string) bool {
	plain, err := url.QueryUnescape(value)
	return secretInside.MatchString(value) || (err == nil && secretInside.MatchString(plain))
}

// redactPairs shows libpq's key=value form. It is read by libpq's rules, and not shown at all when it does not follow them or has a key
// that libpq does not know: an unquoted password with a space looks like that.
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
func redactPairs(raw string) string {
	const space = " \t\r\n\f\v"
	var shown strings.Builder
	for rest := raw; ; {
		trimmed := strings.TrimLeft(rest, space)
		shown.WriteString(rest[:len(rest)-len(trimmed)])
		if trimmed == "" {
			return shown.String()
		}
		equals := strings.IndexByte(trimmed, '=')
		if equals < 0 {
			return hidden
		}
		name := strings.ToLower(strings.TrimRight(trimmed[:equals], space))
		value := strings.TrimLeft(trimmed[equals+1:], space)
		length, closed := pairValue(value)
		if !closed || (length < len(value) && strings.IndexByte(space, value[length]) < 0) {
			return hidden
		}
		shown.WriteString(trimmed[:len(trimmed)-len(value)])
		switch secret := name == "password" || name == "sslpassword"; {
		case !secret && !harmlessNames[name]:
			return hidden
		case (secret && length > 0) || holdsSecret(value[:length]):
			shown.WriteString(hidden)
		default:
			shown.WriteString(value[:length])
		}
		rest = value[length:]
	}
}

// pairValue is the length of a value, quoted or not, in which a backslash takes the next character as it is.
func pairValue(text string) (length int, closed bool) {
	quote := strings.HasPrefix(text, "'")
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case quote && c == '\'' && i > 0:
			return i + 1, true
		case !quote && strings.IndexByte(" \t\r\n\f\v", c) >= 0:
			return i, true
		}
	}
	return len(text), !quote
}
