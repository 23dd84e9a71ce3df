/*
 * loop is the plainest front that hands connections to the workers that own
 * their sessions: one thread, one epoll set, and per connection one accept4,
 * recv(MSG_PEEK), sendmsg(SCM_RIGHTS) and close. What it costs is nearly all the
 * kernel's, so other fronts are measured by it. Under load a front that sends
 * several descriptors at once can cost less.
 *
 *	loop [-d] WORKERS COMMAND [ARG...]
 *
 * With -d the kernel keeps a connection until its request is there
 * (TCP_DEFER_ACCEPT), as it does for stickyd. That spares the loop a peek in
 * vain, and two changes of its set, for connections that come one by one.
 *
 * starts the workers, each with a socket as descriptor 3. Descriptors go to
 * them, one with each byte. They send back the ids of their sessions, one a
 * line, before their clients know them.
 *
 * It is a yardstick and no product: nothing limits what clients may do, a
 * worker that dies is its end, and a worker that takes nothing stops all.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_WORKERS = 256, MAX_ID = 32, HEAD = 4096, EVENTS = 256 };

_Noreturn static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The session table: open addressing, a power of two, at most half full. */

struct session {
	char id[MAX_ID]; /* padded with zeros; an empty place begins with one */
	int worker;
};

static struct session *table;
static size_t places = 1 << 12, used;

static uint64_t hash(const char *id)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */
	for (int i = 0; i < MAX_ID && id[i]; i++)
		h = (h ^ (unsigned char)id[i]) * 1099511628211u;
	return h ^ h >> 32;
}

/* place returns where the id is, or where it belongs. */
static struct session *place(const char *id)
{
	size_t i = hash(id) & (places - 1);
	while (table[i].id[0] && memcmp(table[i].id, id, MAX_ID))
		i = (i + 1) & (places - 1);
	return &table[i];
}

static void bind_session(const char *id, int worker);

static void grow(void)
{
	struct session *old = table;
	size_t n = old ? places : 0;
	if (old)
		places *= 2;
	if (!(table = calloc(places, sizeof *table)))
		die("calloc");
	used = 0;
	for (size_t i = 0; i < n; i++)
		if (old[i].id[0])
			bind_session(old[i].id, old[i].worker);
	free(old);
}

static void bind_session(const char *id, int worker)
{
	if (!table || used * 2 >= places)
		grow();
	struct session *s = place(id);
	if (!s->id[0])
		used++;
	memcpy(s->id, id, MAX_ID);
	s->worker = worker;
}

/* The workers. */

struct worker {
	int fd;
	char line[MAX_ID]; /* of an id that has not come whole */
	int length;
};

static struct worker workers[MAX_WORKERS];
static int worker_count;

static void start_worker(char **command)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("socketpair");
	switch (fork()) {
	case -1:
		die("fork");
	case 0:
		if (pair[1] == 3)
			fcntl(3, F_SETFD, 0);
		else
			dup2(pair[1], 3);
		execvp(command[0], command);
		die(command[0]);
	}
	close(pair[1]);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	workers[worker_count++].fd = pair[0];
}

/* learn reads the ids that a worker has sent. */
static void learn(int n)
{
	struct worker *w = &workers[n];
	char buf[HEAD];
	ssize_t got;
	while ((got = recv(w->fd, buf, sizeof buf, 0)) > 0) {
		for (ssize_t i = 0; i < got; i++) {
			if (buf[i] != '\n') {
				if (w->length < MAX_ID)
					w->line[w->length++] = buf[i];
				continue;
			}
			memset(w->line + w->length, 0, MAX_ID - w->length);
			bind_session(w->line, n);
			w->length = 0;
		}
	}
	if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		fprintf(stderr, "a worker has ended\n");
		exit(1);
	}
}

/* hand gives a worker a descriptor, and waits if its socket is full. */
static void hand(int n, int fd)
{
	union {
		char room[CMSG_SPACE(sizeof fd)];
		struct cmsghdr align;
	} control = {0};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	while (sendmsg(workers[n].fd, &m, MSG_NOSIGNAL) < 0) {
		struct pollfd p = {workers[n].fd, POLLOUT, 0};
		if (errno == EAGAIN)
			poll(&p, 1, -1);
		else if (errno == ETOOMANYREFS)
			usleep(1000);
		else
			die("sendmsg");
	}
}

/* The connections. */

/* session_id copies the id of a request line, zeros if there is none. */
static void session_id(const char *line, const char *end, char *id)
{
	memset(id, 0, MAX_ID);
	const char *at = memmem(line, end - line, "sid=", 4);
	if (!at)
		return;
	at += 4;
	for (int i = 0; i < MAX_ID && at < end && *at != ' ' && *at != '&'; i++)
		id[i] = *at++;
}

/* owner returns the worker of a session, or the one whose turn it is. */
static int owner(const char *id)
{
	static unsigned turn;
	if (id[0]) {
		struct session *s = place(id);
		if (!s->id[0]) { /* its worker may just have said so */
			for (int n = 0; n < worker_count; n++)
				learn(n);
			s = place(id);
		}
		if (s->id[0])
			return s->worker;
	}
	return turn++ % worker_count;
}

/* route hands a connection over if its request line is there; it returns 0 if
 * that is still to come. The connection is closed otherwise. */
static int route(int fd, int epoll, int watched)
{
	char head[HEAD], id[MAX_ID], *end;
	ssize_t n = recv(fd, head, sizeof head, MSG_PEEK);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n > 0) {
		if (!(end = memmem(head, n, "\r\n", 2))) {
			if (n < HEAD)
				return 0;
			end = head + n;
		}
		session_id(head, end, id);
		if (watched) /* the worker's copy would stay in our set */
			epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
		hand(owner(id), fd);
	}
	close(fd);
	return 1;
}

/* accept_all takes what is there. Most have sent their request already. */
static void accept_all(int listener, int epoll)
{
	int fd;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (route(fd, epoll, 0))
			continue;
		struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u64 = MAX_WORKERS + (uint64_t)fd};
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
			die("epoll_ctl");
	}
	if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		die("accept4");
}

static int listen_somewhere(int defer)
{
	int seconds = 5;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && defer && setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds))
		die("TCP_DEFER_ACCEPT");
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) || listen(fd, 4096))
		die("listen");
	if (getsockname(fd, (struct sockaddr *)&a, &size))
		die("getsockname");
	fprintf(stderr, "{\"msg\":\"listening\",\"addr\":\"127.0.0.1:%d\"}\n", ntohs(a.sin_port));
	return fd;
}

int main(int argc, char **argv)
{
	int defer = argc > 1 && !strcmp(argv[1], "-d");
	argc -= defer;
	argv += defer;
	int count = argc > 2 ? atoi(argv[1]) : 0;
	if (count < 1 || count > MAX_WORKERS) {
		fprintf(stderr, "usage: loop [-d] WORKERS COMMAND [ARG...], with 1 to %d workers\n", MAX_WORKERS);
		return 2;
	}
	grow();
	int epoll = epoll_create1(EPOLL_CLOEXEC), listener;
	for (int n = 0; n < count; n++) {
		start_worker(argv + 2);
		struct epoll_event e = {.events = EPOLLIN, .data.u64 = n};
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, workers[n].fd, &e))
			die("epoll_ctl");
	}
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = MAX_WORKERS}, events[EVENTS];
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener = listen_somewhere(defer), &e))
		die("epoll_ctl");
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			uint64_t what = events[i].data.u64;
			if (what < MAX_WORKERS)
				learn(what);
			else if (what == MAX_WORKERS)
				accept_all(listener, epoll);
			else
				route(what - MAX_WORKERS, epoll, 1);
		}
	}
}
