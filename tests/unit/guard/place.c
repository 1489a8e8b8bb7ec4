/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

char dir[] = "/tmp/coffer-guard-XXXXXX", inside[64], outside[64];

int abi;

void place_make(void)
{
	abi = cof_paths_abi();
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(inside, sizeof(inside), "%s/store", dir);
	snprintf(outside, sizeof(outside), "%s/other", dir);
	ck_assert_int_eq(mkdir(inside, 0700), 0);
	int fd = open(outside, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

void place_remove(void)
{
	unlink(outside);
	rmdir(inside);
	rmdir(dir);
}

int failed(long r)
{
	return r < 0 ? errno : DONE;
}

int try_read_outside(void)
{
	return failed(open(outside, O_RDONLY));
}

int try_write_outside(void)
{
	return failed(open(outside, O_WRONLY));
}

int try_make_outside(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/new", dir);
	return failed(open(path, O_CREAT | O_WRONLY, 0600));
}

int try_tcp_connect(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return errno;
	return failed(connect(fd, (struct sockaddr *)&to, sizeof(to)));
}
