/* SPDX-License-Identifier: Apache-2.0 */
/* The key that requests are signed with: from a file that nobody else may read, or from the
 * environment, into secure memory. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tools/s3/internal.h"

#define FILE_MAX 8192u

void s3_credentials_done(struct s3_credentials *c)
{
	cof_secret_free(c->secret);
	cof_secret_free(c->token);
	memset(c, 0, sizeof(*c));
}

static int keep(char **to, const char *value, size_t cap)
{
	size_t n = strlen(value);

	if (!n || n > cap || strpbrk(value, " \t\r\n"))
		return -EINVAL;
	cof_secret_free(*to);
	*to = cof_secret_alloc(n + 1);
	if (!*to)
		return -ENOMEM;
	memcpy(*to, value, n + 1);
	return 0;
}

static int keep_access(struct s3_credentials *c, const char *value)
{
	size_t n = strlen(value);

	if (!n || n >= sizeof(c->access) ||
	    value[strspn(value,
			 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")])
		return -EINVAL;
	memcpy(c->access, value, n + 1);
	return 0;
}

static int take(struct s3_credentials *c, const char *key, const char *value)
{
	if (!strcmp(key, "aws_access_key_id"))
		return keep_access(c, value);
	if (!strcmp(key, "aws_secret_access_key"))
		return keep(&c->secret, value, 512);
	return !strcmp(key, "aws_session_token") ? keep(&c->token, value, 4096) : 0;
}

/* The line without what surrounds it; NUL in place. The text is the caller's secure copy. */
static char *trimmed(char *line)
{
	size_t n;

	line += strspn(line, " \t\r");
	n = strlen(line);
	while (n && strchr(" \t\r", line[n - 1]))
		line[--n] = 0;
	return line;
}

/* Of `[default]`, or of what stands before any part. A reader of its own, for the general one
 * copies values to ordinary memory. */
static int parse(char *text, struct s3_credentials *c)
{
	bool ours = true;
	char *next = NULL;
	int r = 0;

	for (char *line = strtok_r(text, "\n", &next); r == 0 && line;
	     line = strtok_r(NULL, "\n", &next)) {
		char *eq, *key;

		line = trimmed(line);
		if (!*line || *line == '#' || *line == ';')
			continue;
		if (*line == '[') {
			ours = !strcmp(line, "[default]");
			continue;
		}
		eq = strchr(line, '=');
		if (!eq)
			return -EINVAL;
		*eq = 0;
		key = trimmed(line);
		if (ours)
			r = take(c, key, trimmed(eq + 1));
	}
	return r;
}

static int judge(struct s3_credentials *c, int r, const char *where, struct cof_diag *diag)
{
	if (r == 0 && (!*c->access || !c->secret))
		r = -EINVAL;
	if (r == -ENOMEM)
		return cof_fail(diag, r, "no secure memory for the credentials");
	return r < 0
		   ? cof_fail(diag, -EINVAL,
			      "%s does not give credentials: wanted are aws_access_key_id = … and "
			      "aws_secret_access_key = … behind [default]",
			      where)
		   : 0;
}

int s3_credentials_parse(const char *text, size_t n, struct s3_credentials *ret,
			 struct cof_diag *diag)
{
	struct s3_credentials c = {.secret = NULL};
	char *copy = n <= FILE_MAX && !memchr(text, 0, n) ? cof_secret_alloc(n + 1) : NULL;
	int r = copy ? 0 : n <= FILE_MAX && !memchr(text, 0, n) ? -ENOMEM : -EINVAL;

	if (r == 0) {
		memcpy(copy, text, n);
		copy[n] = 0;
		r = parse(copy, &c);
	}
	cof_secret_free(copy);
	r = judge(&c, r, "the file", diag);
	if (r < 0)
		s3_credentials_done(&c);
	else
		*ret = c;
	return r;
}

static int from_file(const char *file, struct s3_credentials *ret, struct cof_diag *diag)
{
	cof_autoclose int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	char *text;
	size_t n = 0;
	int r;

	if (fd < 0)
		return cof_fail(diag, -errno, "the credentials %s cannot be read: %s", file,
				strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)FILE_MAX)
		return cof_fail(diag, -EINVAL, "%s is no file of credentials", file);
	if (st.st_mode & 077)
		return cof_fail(
		    diag, -EACCES,
		    "%s may be read by others than its owner, and holds a secret: chmod 600 %s",
		    file, file);
	text = cof_secret_alloc(FILE_MAX + 1);
	if (!text)
		return cof_fail(diag, -ENOMEM, "no secure memory for the credentials");
	r = cof_read_all(fd, text, FILE_MAX, &n);
	if (r == 0)
		r = s3_credentials_parse(text, n, ret, NULL);
	cof_secret_free(text);
	return r < 0
		   ? cof_fail(diag, r == -ENOMEM ? r : -EINVAL,
			      "%s does not give credentials: wanted are aws_access_key_id = … and "
			      "aws_secret_access_key = … behind [default]",
			      file)
		   : 0;
}

/* What was in the environment is overwritten there and gone from it: nothing that is started later
 * has it. */
static int from_environment(struct s3_credentials *c)
{
	static const char *const name[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
					   "AWS_SESSION_TOKEN"};
	static const char *const key[] = {"aws_access_key_id", "aws_secret_access_key",
					  "aws_session_token"};
	int r = 0;

	for (unsigned i = 0; i < COF_COUNT(name); i++) {
		char *value = getenv(name[i]);

		if (!value)
			continue;
		if (r == 0 && *value)
			r = take(c, key[i], value);
		explicit_bzero(value, strlen(value));
		unsetenv(name[i]);
	}
	return r;
}

int s3_credentials_load(const char *file, struct s3_credentials *ret, struct cof_diag *diag)
{
	/* A process that talks to several buckets reads the environment once. */
	static struct s3_credentials kept;
	struct s3_credentials c = {.secret = NULL};
	int r;

	if (*file)
		return from_file(file, ret, diag);
	if (!kept.secret) {
		r = from_environment(&kept);
		if (r < 0 || !*kept.access || !kept.secret) {
			s3_credentials_done(&kept);
			return cof_fail(diag, -ENOENT,
					"no credentials: name a file with --credentials, or set "
					"AWS_ACCESS_KEY_ID and "
					"AWS_SECRET_ACCESS_KEY");
		}
	}
	r = keep_access(&c, kept.access);
	if (r == 0)
		r = keep(&c.secret, kept.secret, 512);
	if (r == 0 && kept.token)
		r = keep(&c.token, kept.token, 4096);
	if (r < 0) {
		s3_credentials_done(&c);
		return cof_fail(diag, r, "no secure memory for the credentials");
	}
	*ret = c;
	return 0;
}
