/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To a TPM behind a socket. tss2 brings a driver for that too, which waits for an answer as long as it
 * takes; this one gives up. What was late is never read afterwards: the connection is of no more use.
 */
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "crypto/tpm-private.h"

#define MAGIC UINT64_C(0x434f4646534f434b)
#define HEAD 10	      /* tag, length and code, big endian, of commands and answers */
#define ANSWER_MAX 8192u
#define LOOK_MS 200   /* so often a patience that got shorter is seen */
#define MSEC INT64_C(1000000)

struct line {
	TSS2_TCTI_CONTEXT_COMMON_V2 common; /* tss2 sees this of it */
	int fd;				    /* -1: it broke, or was late */
	const atomic_int *patience;	    /* ms */
	bool *late;
	int64_t began;	 /* the command that is under way */
	uint8_t head[HEAD];
	bool has_head;
};

static struct line *line_of(TSS2_TCTI_CONTEXT *tcti)
{
	struct line *l = (struct line *)tcti;

	return l && l->common.v1.magic == MAGIC ? l : NULL;
}

static TSS2_RC broke(struct line *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	return TSS2_TCTI_RC_IO_ERROR;
}

/* Until something can be read or written, or it is late: false. */
static bool ready(struct line *l, short what)
{
	struct pollfd w = {.fd = l->fd, .events = what};

	for (;;) {
		int64_t left = atomic_load(l->patience) - (cof_now(CLOCK_MONOTONIC) - l->began) / MSEC;
		int r;

		if (left <= 0) {
			*l->late = true;
			return false;
		}
		r = poll(&w, 1, (int)COF_MIN(left, LOOK_MS));
		if (r > 0)
			return true;
		if (r < 0 && errno != EINTR)
			return false;
	}
}

static bool later(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* ---- what tss2 calls ---- */

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *tcti, size_t n, const uint8_t *command)
{
	struct line *l = line_of(tcti);

	if (!l)
		return TSS2_TCTI_RC_BAD_CONTEXT;
	if (l->fd < 0)
		return TSS2_TCTI_RC_IO_ERROR;
	l->began = cof_now(CLOCK_MONOTONIC);
	l->has_head = false;
	while (n) {
		ssize_t sent = ready(l, POLLOUT) ? send(l->fd, command, n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

		if (sent < 0 && later())
			continue;
		if (sent <= 0)
			return broke(l);
		command += sent;
		n -= (size_t)sent;
	}
	return TSS2_RC_SUCCESS;
}

static bool fetch(struct line *l, uint8_t *p, size_t n)
{
	while (n) {
		ssize_t got = ready(l, POLLIN) ? recv(l->fd, p, n, MSG_DONTWAIT) : 0;

		if (got < 0 && later())
			continue;
		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

/* timeout: none but "block" is asked for here, and that is as long as the patience lasts. */
static TSS2_RC receive(TSS2_TCTI_CONTEXT *tcti, size_t *size, uint8_t *answer, int32_t timeout COF_UNUSED)
{
	struct line *l = line_of(tcti);
	size_t n;

	if (!l || !size)
		return l ? TSS2_TCTI_RC_BAD_REFERENCE : TSS2_TCTI_RC_BAD_CONTEXT;
	if (l->fd < 0)
		return TSS2_TCTI_RC_IO_ERROR;
	if (!l->has_head && !fetch(l, l->head, HEAD))
		return broke(l);
	l->has_head = true;
	n = (size_t)l->head[2] << 24 | (size_t)l->head[3] << 16 | (size_t)l->head[4] << 8 | l->head[5];
	if (n < HEAD || n > ANSWER_MAX)
		return broke(l);
	if (!answer || *size < n) {
		*size = n;
		return answer ? TSS2_TCTI_RC_INSUFFICIENT_BUFFER : TSS2_RC_SUCCESS;
	}
	memcpy(answer, l->head, HEAD);
	if (!fetch(l, answer + HEAD, n - HEAD))
		return broke(l);
	l->has_head = false;
	*size = n;
	return TSS2_RC_SUCCESS;
}

static void finalize(TSS2_TCTI_CONTEXT *tcti)
{
	struct line *l = line_of(tcti);

	if (l)
		(void)broke(l);
}

/* ---- connecting ---- */

static int connect_at(const struct sockaddr *at, socklen_t n, int family, int ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* Bounds connect(2) as well. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 && connect(fd, at, n) == 0)
		return fd;
	close(fd);
	return -1;
}

static int to_path(const char *path, int ms)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(at.sun_path))
		return -1;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	return connect_at((struct sockaddr *)&at, sizeof(at), AF_UNIX, ms);
}

/* The value of a key in "host=localhost,port=2321". */
static bool value_of(const char *conf, const char *key, char *out, size_t cap)
{
	size_t k = strlen(key);

	for (const char *at = conf; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		size_t n = strcspn(at, ",");

		if (strncmp(at, key, k) != 0 || n < k || n - k >= cap)
			continue;
		memcpy(out, at + k, n - k);
		out[n - k] = '\0';
		return true;
	}
	return false;
}

static int to_host(const char *conf, int ms)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *all = NULL;
	char host[256] = "localhost", port[8] = "2321"; /* as tss2 has them */
	int fd = -1;

	(void)value_of(conf, "host=", host, sizeof(host));
	(void)value_of(conf, "port=", port, sizeof(port));
	if (getaddrinfo(host, port, &hints, &all) != 0)
		return -1;
	for (struct addrinfo *i = all; i && fd < 0; i = i->ai_next)
		fd = connect_at(i->ai_addr, i->ai_addrlen, i->ai_family, ms);
	freeaddrinfo(all);
	return fd;
}

TSS2_RC cof_tpm_socket_new(const char *where, const atomic_int *patience, bool *late, TSS2_TCTI_CONTEXT **ret)
{
	const char *conf = *where == '/' ? where : where + strlen("swtpm:");
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct line *l = calloc(1, sizeof(*l));
	int ms = atomic_load(patience);

	if (!l)
		return TSS2_TCTI_RC_MEMORY;
	l->common.v1 = (TSS2_TCTI_CONTEXT_COMMON_V1){
	    .magic = MAGIC, .version = 2, .transmit = transmit, .receive = receive, .finalize = finalize};
	l->patience = patience;
	l->late = late;
	l->fd = *conf == '/'				  ? to_path(conf, ms)
		: value_of(conf, "path=", path, sizeof(path)) ? to_path(path, ms)
							  : to_host(conf, ms);
	if (l->fd < 0) {
		free(l);
		return TSS2_TCTI_RC_IO_ERROR;
	}
	*ret = (TSS2_TCTI_CONTEXT *)l;
	return TSS2_RC_SUCCESS;
}

void cof_tpm_socket_free(TSS2_TCTI_CONTEXT *tcti)
{
	finalize(tcti);
	free(tcti);
}
