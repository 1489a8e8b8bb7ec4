/* SPDX-License-Identifier: Apache-2.0 */
/* One request over HTTP, by libcurl, which tools/http.c alone includes. */
#ifndef COFFER_HTTP_H
#define COFFER_HTTP_H

#include "base/base.h"

struct http_post {
	const char *url;  /* http:// or https:// */
	const char *type; /* of what is sent */
	const char *answer_type; /* that the answer has to be of */
	const void *body;
	size_t len;
	size_t most; /* bytes of an answer that are taken */
	const char *ca; /* PEM file that the server's certificate has to lead to, instead of the system's; or NULL */
	bool direct; /* over no proxy: http:// to this host, which a proxy would take off it */
	long *ret_status; /* NULL: another status than 200 is an error; else it is given back, and answer_type is not looked at */
};
bool http_is_url(const char *text);
/* 10 s to connect, 30 s for all of it; redirections are not followed. -ETIMEDOUT · -ECONNREFUSED ·
 * -EFBIG · -EPROTO (another status than 200, another type) · -EIO; the sentence names the URL. */
int http_post(const struct http_post *p, struct cof_buf *ret, struct cof_diag *diag);

#endif
