//! The pages: built by Vite into `web/dist`, embedded in the binary, sent with a strict policy.
//!
//! A debug build reads them from the disk at each request, so that a page can be rebuilt while the service runs.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Files;

/// Two compressed forms lie beside a file where they are smaller, made by `script/build-web`; the better one first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Vite puts a hash of the content into the names in this folder, so they may be kept for ever.
const HASHED: &str = "assets/";

/// Where the pages bring no 404.html of their own.
const NO_SUCH_PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=width=device-width>\
    <title>No such page · Tuppence</title><h1>There is no such page.</h1><p><a href=/>Go to the start</a>";

/// Answers everything that no other route does.
pub(crate) fn router(secure: bool) -> Router {
    Router::new().fallback(move |request: Request<Body>| async move { answer(&request, secure) })
}

fn answer(request: &Request<Body>, secure: bool) -> Response {
    let path = request.uri().path();
    let mut response = if path.starts_with("/v1/") || path.starts_with("/.well-known/") {
        no_such_endpoint()
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response()
    } else {
        match page(path).and_then(|name| found(name, request.headers())) {
            Some(response) => response,
            None => not_found(request.headers()),
        }
    };
    protect(response.headers_mut(), path, secure);
    response
}

/// Which file answers for an address.
fn page(path: &str) -> Option<&str> {
    match path {
        "/" => Some("index.html"),
        "/console" => Some("console.html"),
        "/demo" => Some("demo.html"),
        "/docs/api" => Some("docs-api.html"),
        "/docs/problems" => Some("docs-problems.html"),
        _ if path.starts_with("/console/") => Some("console.html"),
        _ if path.strip_prefix("/r/").is_some_and(|room| !room.is_empty() && !room.contains('/')) => {
            Some("call.html")
        }
        // The pages themselves have one address each, and the compressed forms none.
        _ if path.ends_with(".html") || ENCODINGS.iter().any(|(_, suffix)| path.ends_with(suffix)) => None,
        _ => path.strip_prefix('/'),
    }
}

fn found(name: &str, asked: &HeaderMap) -> Option<Response> {
    let plain = Files::get(name)?;
    let (file, encoding) =
        best_form(name, asked).map_or((plain, None), |(file, encoding)| (file, Some(encoding)));
    let tag = entity_tag(&file);
    let mut response = if asked.get(header::IF_NONE_MATCH).is_some_and(|known| matches(known, &tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        body(file.data).into_response()
    };
    let headers = response.headers_mut();
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let kind = if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    insert(headers, header::CONTENT_TYPE, &kind);
    insert(headers, header::ETAG, &tag);
    let kept = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    insert(headers, header::CACHE_CONTROL, kept);
    insert(headers, header::VARY, "Accept-Encoding");
    if let Some(encoding) = encoding {
        insert(headers, header::CONTENT_ENCODING, encoding);
    }
    Some(response)
}

fn best_form(name: &str, asked: &HeaderMap) -> Option<(EmbeddedFile, &'static str)> {
    let accepted = asked.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
    ENCODINGS
        .iter()
        .filter(|(encoding, _)| accepts(accepted, encoding))
        .find_map(|(encoding, suffix)| Some((Files::get(&format!("{name}{suffix}"))?, *encoding)))
}

/// Whether a list like `gzip;q=0.8, br` takes this encoding.
fn accepts(list: &str, encoding: &str) -> bool {
    list.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let weight = |part: &str| part.strip_prefix("q=").and_then(|number| number.parse::<f32>().ok());
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding))
            && parts.find_map(weight).is_none_or(|weight| weight > 0.0)
    })
}

fn entity_tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn matches(known: &HeaderValue, tag: &str) -> bool {
    known.to_str().is_ok_and(|list| list.split(',').any(|one| one.trim().trim_start_matches("W/") == tag))
}

fn body(data: Cow<'static, [u8]>) -> Body {
    match data {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    }
}

fn not_found(asked: &HeaderMap) -> Response {
    if Files::get("index.html").is_none() {
        let told = "The pages are not built into this binary: run script/build-web and build it again.\n";
        return (StatusCode::NOT_FOUND, told).into_response();
    }
    match found("404.html", asked) {
        Some(mut page) => {
            *page.status_mut() = StatusCode::NOT_FOUND;
            page.headers_mut().remove(header::ETAG);
            page
        }
        None => (StatusCode::NOT_FOUND, Html(NO_SUCH_PAGE)).into_response(),
    }
}

fn no_such_endpoint() -> Response {
    let problem = serde_json::json!({
        "type": "/docs/problems#no_such_endpoint",
        "title": "There is no such endpoint",
        "status": 404,
        "code": "no_such_endpoint",
        "detail": "No endpoint of the API has this method and path; /docs/api lists them all.",
    });
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/problem+json")], problem.to_string())
        .into_response()
}

/// What a page may do: load from here alone, run no inline code, be framed by nobody (the call page by our own pages).
fn protect(headers: &mut HeaderMap, path: &str, secure: bool) {
    // Swagger UI makes style elements while it runs.
    let styles = if path == "/docs/api" { "'self' 'unsafe-inline'" } else { "'self'" };
    let framed_by = if path.starts_with("/r/") { "'self'" } else { "'none'" };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
         media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; frame-src 'self'; frame-ancestors {framed_by}; base-uri 'none'; \
         form-action 'self'"
    );
    insert(headers, header::CONTENT_SECURITY_POLICY, &policy);
    insert(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    insert(headers, header::REFERRER_POLICY, "strict-origin-when-cross-origin");
    insert(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    let allowed = "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), fullscreen=(self), geolocation=(), payment=(), usb=()";
    insert(headers, HeaderName::from_static("permissions-policy"), allowed);
    if secure {
        insert(headers, header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("our header values are plain text");
    headers.insert(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_has_one_address() {
        for (path, name) in [
            ("/", Some("index.html")),
            ("/r/019aa000-0000-7000-8000-000000000001", Some("call.html")),
            ("/r/", Some("r/")),
            ("/r/a/b", Some("r/a/b")),
            ("/console", Some("console.html")),
            ("/console/statements/draft", Some("console.html")),
            ("/consoles", Some("consoles")),
            ("/demo", Some("demo.html")),
            ("/docs/api", Some("docs-api.html")),
            ("/docs/problems", Some("docs-problems.html")),
            ("/assets/call-2KXm.js", Some("assets/call-2KXm.js")),
            ("/index.html", None),
            ("/assets/call-2KXm.js.br", None),
        ] {
            assert_eq!(page(path), name, "{path}");
        }
    }

    #[test]
    fn encodings_are_taken_as_the_browser_weighs_them() {
        for (list, brotli) in [
            ("gzip, deflate, br, zstd", true),
            ("gzip;q=0.8, BR;q=0.1", true),
            ("gzip, br;q=0", false),
            ("gzip", false),
            ("brotli", false),
            ("", false),
        ] {
            assert_eq!(accepts(list, "br"), brotli, "{list}");
        }
    }

    fn asked(method: Method, path: &str) -> Response {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        answer(&request, true)
    }

    #[test]
    fn every_answer_carries_the_policy() {
        for path in ["/", "/nowhere", "/v1/nowhere", "/r/x", "/docs/api"] {
            let headers = asked(Method::GET, path).headers().clone();
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains("script-src 'self';"), "{path}: {policy}");
            assert_eq!(policy.contains("unsafe-inline"), path == "/docs/api", "{path}: {policy}");
            assert!(!policy.contains("unsafe-eval"), "{path}: {policy}");
            assert!(headers.contains_key(header::STRICT_TRANSPORT_SECURITY), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_in_the_language_of_the_asker() {
        let page = asked(Method::GET, "/nowhere");
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
        let endpoint = asked(Method::POST, "/v1/nowhere");
        assert_eq!(endpoint.status(), StatusCode::NOT_FOUND);
        assert_eq!(endpoint.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(asked(Method::POST, "/").status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(asked(Method::GET, "/../Cargo.toml").status(), StatusCode::NOT_FOUND);
    }
}
