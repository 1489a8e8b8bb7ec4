/* SPDX-License-Identifier: Apache-2.0 */
/* A POST and its answer, with limits: nobody at the other end may hold us, or fill our memory. */
#include "tools/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <strings.h>

#define CONNECT_S 10L
#define ALL_S 30L

struct taking {
	struct cof_buf *into;
	size_t most;
	bool full;
};

bool http_is_url(const char *text)
{
	return !strncmp(text, "http://", 7) || !strncmp(text, "https://", 8);
}

static size_t take(char *data, size_t size, size_t n, void *user)
{
	struct taking *t = user;
	size_t bytes = size * n;

	if (bytes > t->most - t->into->len) {
		t->full = true;
		return 0;
	}
	cof_buf_add(t->into, data, bytes);
	return t->into->failed ? 0 : bytes;
}

static int code_of(CURLcode c)
{
	switch (c) {
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -ECONNREFUSED;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static int set_up(CURL *c, const struct http_post *p, struct curl_slist *headers, struct taking *t, char *said)
{
	CURLcode r = curl_easy_setopt(c, CURLOPT_URL, p->url);

	if (!r)
		r = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)p->len);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_POSTFIELDS, (const char *)p->body);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_TIMEOUT, ALL_S);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_USERAGENT, "coffer/" COF_VERSION);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_ERRORBUFFER, said);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	if (!r && p->direct)
		r = curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	if (!r && p->ca)
		r = curl_easy_setopt(c, CURLOPT_CAINFO, p->ca);
	if (!r && p->ca) /* else the system's authorities count beside it */
		r = curl_easy_setopt(c, CURLOPT_CAPATH, (char *)NULL);
	return r ? -EIO : 0;
}

static bool is_type(const char *got, const char *wanted)
{
	size_t n = strlen(wanted);

	return got && !strncasecmp(got, wanted, n) && (!got[n] || got[n] == ';' || got[n] == ' ');
}

static int judge(CURL *c, const struct http_post *p, struct cof_diag *diag)
{
	char *type = NULL;
	long status = 0;

	(void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
	if (p->ret_status) {
		*p->ret_status = status;
		return 0;
	}
	if (status != 200)
		return cof_fail(diag, -EPROTO, "%s answered with status %ld%s", p->url, status,
				status >= 300 && status < 400 ? ", which leads elsewhere: name that address" : "");
	if (!is_type(type, p->answer_type))
		return cof_fail(diag, -EPROTO, "%s answered with %.100s, not with %s", p->url,
				type ? type : "nothing that says its type", p->answer_type);
	return 0;
}

static int run(CURL *c, const struct http_post *p, struct curl_slist *headers, struct cof_buf *ret,
	       struct cof_diag *diag)
{
	struct taking t = {.into = ret, .most = p->most};
	char said[CURL_ERROR_SIZE] = "";
	CURLcode done;

	if (set_up(c, p, headers, &t, said) < 0)
		return cof_fail(diag, -EIO, "%s cannot be asked: libcurl takes no such request", p->url);
	done = curl_easy_perform(c);
	if (t.full)
		return cof_fail(diag, -EFBIG, "%s sent more than %zu bytes: that is no answer", p->url, p->most);
	if (done)
		return cof_fail(diag, code_of(done), "%s cannot be asked: %s", p->url,
				said[0] ? said : curl_easy_strerror(done));
	return judge(c, p, diag);
}

int http_post(const struct http_post *p, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autofree char *type = NULL, *accept = NULL;
	struct curl_slist *headers = NULL, *more;
	CURL *c = NULL;
	int r = -ENOMEM;

	if (asprintf(&type, "Content-Type: %s", p->type) < 0)
		type = NULL;
	if (asprintf(&accept, "Accept: %s", p->answer_type) < 0)
		accept = NULL;
	if (type && accept && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
		headers = curl_slist_append(NULL, type);
		more = headers ? curl_slist_append(headers, accept) : NULL;
		c = more ? curl_easy_init() : NULL;
	}
	if (c)
		r = run(c, p, headers, ret, diag);
	else
		cof_fail(diag, r, "out of memory");
	if (c)
		curl_easy_cleanup(c);
	curl_slist_free_all(headers);
	return r;
}
