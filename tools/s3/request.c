/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request: signed, carried by libcurl (which this file alone includes here), repeated when what
 * went wrong may pass. The server's certificate is always judged; there is no switch for that.
 * Nothing follows where an answer leads.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "tools/s3/internal.h"

#define CONNECT_S 15L
#define STALL_S 60L /* less than STALL_BYTES a second for so long: the line is dead */
#define STALL_BYTES 100L
#define TRIES 8u
#define PAUSE_MS 200u
#define PAUSE_MAX_MS 20000u

struct s3 {
	struct s3_target target;
	struct s3_credentials credentials;
	CURL *curl;
	uint64_t sent, limit;
};

struct flight { /* of one attempt */
	struct s3 *s;
	struct s3_request *r;
	struct s3_answer *a;
	uint64_t at; /* of what is sent */
	bool full;
	int read_error;
};

const struct s3_target *s3_target_of(const struct s3 *s)
{
	return &s->target;
}

uint64_t s3_sent(const struct s3 *s)
{
	return s->sent;
}

void s3_limit(struct s3 *s, uint64_t bytes_a_second)
{
	s->limit = bytes_a_second;
}

int s3_open(const struct s3_target *t, struct s3 **ret, struct cof_diag *diag)
{
	struct s3 *s;
	int r = s3_endpoint_check(t, diag);

	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return cof_fail(diag, -ENOMEM, "out of memory");
	s->target = *t;
	r = s3_credentials_load(t->credentials, &s->credentials, diag);
	if (r == 0 && (curl_global_init(CURL_GLOBAL_DEFAULT) || !(s->curl = curl_easy_init())))
		r = cof_fail(diag, -ENOMEM, "libcurl cannot be started");
	if (r < 0)
		s3_close(s);
	else
		*ret = s;
	return r;
}

void s3_close(struct s3 *s)
{
	if (!s)
		return;
	if (s->curl)
		curl_easy_cleanup(s->curl);
	s3_credentials_done(&s->credentials);
	free(s);
}

void s3_answer_done(struct s3_answer *a)
{
	cof_buf_done(&a->body);
}

void s3_request_query(struct s3_request *r, const char *name, const char *value)
{
	if (r->queries < (int)COF_COUNT(r->query))
		r->query[r->queries++] = (struct s3_pair){name, value};
}

void s3_request_header(struct s3_request *r, const char *name, const char *value)
{
	if (r->headers < (int)COF_COUNT(r->header))
		r->header[r->headers++] = (struct s3_pair){name, value};
}

/* ---- what libcurl calls ---- */

static size_t give(char *to, size_t size, size_t n, void *user)
{
	struct flight *f = user;
	uint64_t left = f->r->length - f->at;
	size_t k = (size_t)COF_MIN((uint64_t)(size * n), left);

	if (!k)
		return 0;
	if (f->r->text)
		memcpy(to, (const uint8_t *)f->r->text + f->at, k);
	else
		f->read_error = f->r->body->read(f->r->body->user, f->r->offset + f->at, to, k);
	if (f->read_error)
		return CURL_READFUNC_ABORT;
	f->at += k;
	f->s->sent += k;
	return k;
}

static int again(void *user, curl_off_t offset, int origin)
{
	struct flight *f = user;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > f->r->length)
		return CURL_SEEKFUNC_FAIL;
	f->at = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t take(char *data, size_t size, size_t n, void *user)
{
	struct flight *f = user;
	size_t bytes = size * n;
	long status = 0;

	if (f->r->sink) {
		(void)curl_easy_getinfo(f->s->curl, CURLINFO_RESPONSE_CODE, &status);
		if (status >= 200 && status < 300) {
			f->a->sink_error = f->r->sink(f->r->sink_user, data, bytes);
			return f->a->sink_error ? 0 : bytes;
		}
	}
	if (bytes > S3_ANSWER_MAX - f->a->body.len) {
		f->full = true;
		return 0;
	}
	cof_buf_add(&f->a->body, data, bytes);
	return f->a->body.failed ? 0 : bytes;
}

static size_t head(char *line, size_t size, size_t n, void *user)
{
	struct flight *f = user;

	s3_take_header(f->a, line, size * n);
	return size * n;
}

/* ---- an attempt ---- */

static const char *host_of(const struct s3_target *t)
{
	return strstr(t->endpoint, "://") + 3;
}

/* As the Host header has it: a scheme's own port is not named. */
static void host_header(const struct s3_target *t, char out[280])
{
	bool tls = !strncmp(t->endpoint, "https", 5);
	const char *port = tls ? ":443" : ":80";
	size_t n = strlen(host_of(t)), k = strlen(port);

	if (n > k && !strcmp(host_of(t) + n - k, port))
		n -= k;
	snprintf(out, 280, "%.*s", (int)n, host_of(t));
}

static int add_line(struct curl_slist **list, const char *name, const char *value)
{
	cof_autofree char *line = NULL;
	struct curl_slist *more;

	if (asprintf(&line, "%s: %s", name, value) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	more = curl_slist_append(*list, line);
	explicit_bzero(line, strlen(line));
	if (!more)
		return -ENOMEM;
	*list = more;
	return 0;
}

/* A session's token travels in a header; nothing of it stays behind. */
static void free_lines(struct curl_slist *list)
{
	for (struct curl_slist *l = list; l; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(list);
}

static int sign(struct s3 *s, const struct s3_request *r, const char *path, const char *query,
		struct curl_slist **list)
{
	struct s3_signing p = {.method = r->method,
			       .path = path,
			       .query = query,
			       .payload = r->payload,
			       .region = s->target.region};
	char host[280], auth[S3_SIGN_TEXT];
	int e = 0;

	host_header(&s->target, host);
	s3_sign_date(cof_now(CLOCK_REALTIME), p.date);
	for (int i = 0; i < r->headers; i++)
		p.header[p.headers++] = r->header[i];
	p.header[p.headers++] = (struct s3_pair){"host", host};
	p.header[p.headers++] = (struct s3_pair){"x-amz-content-sha256", r->payload};
	p.header[p.headers++] = (struct s3_pair){"x-amz-date", p.date};
	if (s->credentials.token)
		p.header[p.headers++] =
		    (struct s3_pair){"x-amz-security-token", s->credentials.token};
	e = s3_sign(&p, &s->credentials, auth);
	for (int i = 0; e == 0 && i < p.headers; i++)
		e = add_line(list, p.header[i].name, p.header[i].value);
	if (e == 0)
		e = add_line(list, "authorization", auth);
	if (e == 0)
		e = add_line(list, "expect", "");
	return e;
}

#define SET(option, value)                                                                         \
	do {                                                                                       \
		if (c == CURLE_OK)                                                                 \
			c = curl_easy_setopt(s->curl, option, value);                              \
	} while (0)

static int set_up_line(struct s3 *s, const char *url, struct curl_slist *list, struct flight *f,
		       char *said)
{
	CURLcode c = CURLE_OK;

	curl_easy_reset(s->curl); /* connections stay */
	SET(CURLOPT_URL, url);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (*s->target.ca) {
		SET(CURLOPT_CAINFO, s->target.ca);
		SET(CURLOPT_CAPATH, (char *)NULL); /* else the system's authorities count beside it */
	}
	if (!strncmp(s->target.endpoint, "http://", 7)) /* a proxy would take it off this host */
		SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	SET(CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
	SET(CURLOPT_LOW_SPEED_TIME, STALL_S);
	SET(CURLOPT_USERAGENT, "coffer/" COF_VERSION);
	SET(CURLOPT_HTTPHEADER, list);
	SET(CURLOPT_ERRORBUFFER, said);
	SET(CURLOPT_HEADERFUNCTION, head);
	SET(CURLOPT_HEADERDATA, f);
	SET(CURLOPT_WRITEFUNCTION, take);
	SET(CURLOPT_WRITEDATA, f);
	if (s->limit)
		SET(CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)s->limit);
	return c == CURLE_OK ? 0 : -EIO;
}

static int set_up_body(struct s3 *s, const struct s3_request *r, struct flight *f)
{
	CURLcode c = CURLE_OK;

	if (!strcmp(r->method, "HEAD")) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (!strcmp(r->method, "PUT") || !strcmp(r->method, "POST")) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_READFUNCTION, give);
		SET(CURLOPT_READDATA, f);
		SET(CURLOPT_SEEKFUNCTION, again);
		SET(CURLOPT_SEEKDATA, f);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->length);
	}
	SET(CURLOPT_CUSTOMREQUEST, !strcmp(r->method, "HEAD") ? NULL : r->method);
	return c == CURLE_OK ? 0 : -EIO;
}

static int line_error(CURLcode c)
{
	switch (c) {
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -ECONNREFUSED;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/* 1: worth another try. */
static int line_judge(struct s3 *s, const struct flight *f, CURLcode c, const char *said,
		      struct cof_diag *diag)
{
	const char *why = *said ? said : curl_easy_strerror(c);

	if (f->a->sink_error)
		return f->a->sink_error;
	if (f->read_error)
		return cof_fail(diag, f->read_error, "what is to be sent cannot be read: %s",
				strerror(-f->read_error));
	if (f->full)
		return cof_fail(diag, -EFBIG, "%s sent more than %u bytes: that is no answer",
				s->target.endpoint, S3_ANSWER_MAX);
	if (c == CURLE_PEER_FAILED_VERIFICATION || c == CURLE_SSL_CACERT_BADFILE ||
	    c == CURLE_SSL_ISSUER_ERROR)
		return cof_fail(diag, -EKEYREJECTED,
				"%s: its certificate is not accepted (%s). Nothing was sent. Where "
				"it is the server's "
				"own authority that signed: --ca FILE",
				s->target.endpoint, why);
	cof_fail(diag, line_error(c), "%s: %s", s->target.endpoint, why);
	return c == CURLE_URL_MALFORMAT || c == CURLE_UNSUPPORTED_PROTOCOL ||
		       c == CURLE_OUT_OF_MEMORY
		   ? line_error(c)
		   : 1;
}

static void error_of(struct s3_answer *a)
{
	if (!a->body.len || a->status < 300)
		return;
	/* An answer that is no XML has a status all the same. */
	if (s3_xml_find(a->body.data, a->body.len, "Error/Code", a->code, sizeof(a->code)) < 0 ||
	    s3_xml_find(a->body.data, a->body.len, "Error/Message", a->message,
			sizeof(a->message)) < 0)
		a->code[0] = a->message[0] = 0;
}

/* *ret_line: what went wrong was the line, not an answer. */
static int attempt(struct s3 *s, struct s3_request *r, struct s3_answer *a, int *ret_line,
		   struct cof_diag *diag)
{
	cof_autobuf struct cof_buf path = {0}, query = {0}, url = {0};
	struct flight f = {.s = s, .r = r, .a = a};
	struct curl_slist *list = NULL;
	char said[CURL_ERROR_SIZE] = "";
	CURLcode c = CURLE_OK;
	int e;

	cof_buf_printf(&path, "/%s", s->target.bucket);
	if (r->key) {
		cof_buf_add(&path, "/", 1);
		s3_encode(&path, r->key, true);
	}
	s3_query(&query, r->query, r->queries);
	cof_buf_printf(&url, "%s%s%s%s", s->target.endpoint, (const char *)path.data,
		       query.len ? "?" : "", query.len ? (const char *)query.data : "");
	e = path.failed || query.failed || url.failed
		? -ENOMEM
		: sign(s, r, (const char *)path.data, query.len ? (const char *)query.data : "",
		       &list);
	if (e == 0)
		e = set_up_line(s, (const char *)url.data, list, &f, said);
	if (e == 0)
		e = set_up_body(s, r, &f);
	if (e == 0)
		c = curl_easy_perform(s->curl);
	(void)curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &a->status);
	free_lines(list);
	curl_easy_reset(s->curl); /* it points to what ends here */
	if (e < 0)
		return cof_fail(diag, e, "%s cannot be asked: %s", s->target.endpoint,
				strerror(-e));
	/* A server may answer and close before all was sent: then its answer counts. */
	if (c != CURLE_OK &&
	    !(a->status >= 300 && (c == CURLE_SEND_ERROR || c == CURLE_RECV_ERROR))) {
		*ret_line = line_error(c);
		return line_judge(s, &f, c, said, diag);
	}
	error_of(a);
	return s3_judge(&s->target, r, a, diag);
}

void s3_pause(const struct s3 *s, unsigned n, long retry_after)
{
	uint64_t ms = s->target.pause_ms ? s->target.pause_ms : PAUSE_MS;
	uint8_t random;

	ms = COF_MIN(ms << COF_MIN(n, 12u), (uint64_t)PAUSE_MAX_MS);
	cof_random(&random, 1);
	ms = ms / 2 + ms * random / 510; /* hosts that failed together do not come back together */
	ms = COF_MAX(ms, (uint64_t)retry_after * 1000);
	nanosleep(&(struct timespec){.tv_sec = (time_t)(ms / 1000),
				     .tv_nsec = (long)(ms % 1000) * 1000000},
		  NULL);
}

static void digest_text(struct s3_request *r)
{
	uint8_t hash[COF_HASH];

	if (*r->payload)
		return;
	cof_sha256(r->text ? r->text : "", r->text ? r->length : 0, hash);
	cof_hex(hash, COF_HASH, r->payload);
}

int s3_do(struct s3 *s, struct s3_request *r, struct s3_answer *a, struct cof_diag *diag)
{
	unsigned tries = s->target.tries ? s->target.tries : TRIES;
	int e = 0, line = 0;

	memset(a, 0, sizeof(*a));
	digest_text(r);
	for (unsigned n = 0;; n++) {
		long after = a->retry_after;

		if (n)
			s3_pause(s, n - 1, after);
		s3_answer_done(a);
		memset(a, 0, sizeof(*a));
		line = 0;
		e = attempt(s, r, a, &line, diag);
		if (e <= 0 || r->once || n + 1 >= tries)
			break;
	}
	return e > 0 ? (line ? line : -EAGAIN) : e;
}
