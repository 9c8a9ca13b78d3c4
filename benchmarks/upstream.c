/* upstream: a chat completions server that costs next to nothing, so that it is never the bottleneck.
 *
 *   upstream            listens on a free port of 127.0.0.1 and prints it
 *
 * POST with "stream":true in its body   server-sent events: a stamped event for each of `events=N`, one
 *                                       every `every_us=N` (0: as fast as the reader takes them), then
 *                                       finish_reason, usage if it was asked for, and [DONE]
 * any other POST                        one JSON answer of 1,024 bytes
 * GET                                   {"accepts":…,"requests":…}: connections that carried a POST, and POSTs
 *
 * The stamp is the monotonic clock in ns, in the event's content: a client on this machine subtracts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 4096, IN_BYTES = 64 * 1024, OUT_BYTES = 32 * 1024, BATCH_BYTES = 16 * 1024, ANSWER_BYTES = 1024 };

typedef struct {
    int fd, used, posted;
    int in, out, sent;          /* bytes in the buffers; `sent` of `out` are gone */
    int streaming, first, usage;
    long events, every_ns, due; /* events that are left, their distance, and when the next one is due */
    int wants_write;
    char inbuf[IN_BYTES], outbuf[OUT_BYTES];
} Connection;

static Connection *connections[MAX_FD];
static int poller, timer, top; /* `top`: the highest descriptor so far */
static long accepts, requests;
static char answer[ANSWER_BYTES + 256];
static int answer_bytes;

static long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* The JSON answer, padded with words to exactly ANSWER_BYTES. */
static void make_answer(void) {
    static const char begin[] =
        "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1790000000,\"model\":\"gpt-5-mini\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"";
    static const char end[] =
        "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":420,\"completion_tokens\":140,\"total_tokens\":560}}";
    static const char words[] = "the water waits behind the gate until the wheel below asks for it and then ";
    char body[ANSWER_BYTES + 1];
    int at = sprintf(body, "%s", begin), stop = ANSWER_BYTES - (int)sizeof end + 1;
    for (int word = 0; at < stop; word++) body[at++] = words[word % (sizeof words - 1)];
    memcpy(body + at, end, sizeof end);
    answer_bytes = sprintf(answer, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s",
                           ANSWER_BYTES, body);
}

static void watch(Connection *c, int write_too) {
    if (c->wants_write == write_too) return;
    c->wants_write = write_too;
    struct epoll_event event = {.events = EPOLLIN | (write_too ? EPOLLOUT : 0), .data.fd = c->fd};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

static void drop(Connection *c) {
    connections[c->fd] = NULL;
    close(c->fd);
    free(c);
}

/* Sends what is in the buffer; 0 if the client is gone. */
static int flush_out(Connection *c) {
    while (c->sent < c->out) {
        ssize_t n = send(c->fd, c->outbuf + c->sent, c->out - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) return 0;
        c->sent += n;
    }
    if (c->sent == c->out) c->sent = c->out = 0;
    watch(c, c->out > 0 || (c->streaming && c->every_ns == 0));
    return 1;
}

/* Adds one server-sent event as an HTTP chunk of its own. */
static void add_event(Connection *c, const char *data) {
    int bytes = (int)strlen(data) + 8;
    c->out += sprintf(c->outbuf + c->out, "%x\r\ndata: %s\n\n\r\n", bytes, data);
}

static void add_delta(Connection *c) {
    char data[512];
    sprintf(data,
            "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
            "\"model\":\"gpt-5-mini\",\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\"%ld \"},"
            "\"finish_reason\":null}]}",
            c->first ? "\"role\":\"assistant\"," : "", now_ns());
    c->first = 0;
    c->events--;
    add_event(c, data);
}

static void add_end(Connection *c) {
#define CHUNK "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"gpt-5-mini\","
    add_event(c, CHUNK "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}");
    if (c->usage)
        add_event(c, CHUNK "\"choices\":[],\"usage\":{\"prompt_tokens\":420,\"completion_tokens\":140,\"total_tokens\":560}}");
    add_event(c, "[DONE]");
    c->out += sprintf(c->outbuf + c->out, "0\r\n\r\n");
    c->streaming = 0;
}

/* Adds what is due of a stream: everything that fits, or one event per interval. */
static void add_stream(Connection *c) {
    while (c->streaming && c->out < BATCH_BYTES) {
        if (c->every_ns && c->due > now_ns()) break;
        if (c->events > 0) {
            add_delta(c);
            c->due += c->every_ns;
        } else {
            add_end(c);
        }
    }
}

static long number_after(const char *text, const char *word, long otherwise) {
    const char *found = strstr(text, word);
    return found ? atol(found + strlen(word)) : otherwise;
}

/* Finds `"name": true`, with or without spaces. */
static int is_true(const char *body, const char *name) {
    const char *found = strstr(body, name);
    if (!found) return 0;
    found += strlen(name);
    found += strspn(found, " :");
    return !strncmp(found, "true", 4);
}

static void respond(Connection *c, const char *head, const char *body) {
    if (!strncmp(head, "GET ", 4)) {
        char counts[96];
        int n = sprintf(counts, "{\"accepts\":%ld,\"requests\":%ld}", accepts, requests);
        c->out += sprintf(c->outbuf + c->out, "HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", n, counts);
        return;
    }
    requests++;
    if (!c->posted++) accepts++;
    if (!is_true(body, "\"stream\"")) {
        memcpy(c->outbuf + c->out, answer, answer_bytes);
        c->out += answer_bytes;
        return;
    }
    c->streaming = c->first = 1;
    c->usage = is_true(body, "\"include_usage\"");
    c->events = number_after(body, "events=", 20);
    c->every_ns = number_after(body, "every_us=", 0) * 1000;
    c->due = now_ns();
    c->out += sprintf(c->outbuf + c->out, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                                          "transfer-encoding: chunked\r\n\r\n");
    add_stream(c);
}

/* Answers every whole request in the buffer; 0 if it can't be understood. */
static int take_requests(Connection *c) {
    c->inbuf[c->in] = 0;
    char *start = c->inbuf, *body;
    while (!c->streaming && c->out < BATCH_BYTES && (body = strstr(start, "\r\n\r\n"))) {
        body += 4;
        char kept = *body;
        *body = 0;
        char *length = strcasestr(start, "\r\ncontent-length:");
        long bytes = length ? atol(length + 17) : 0;
        if (strcasestr(start, "\r\ntransfer-encoding:")) return 0;
        *body = kept;
        char *end = body + bytes;
        if (end > c->inbuf + c->in) break;
        kept = *end;
        *end = 0;
        respond(c, start, body);
        *end = kept;
        start = end;
    }
    c->in -= start - c->inbuf;
    memmove(c->inbuf, start, c->in);
    return c->in < IN_BYTES - 1;
}

static void on_readable(Connection *c) {
    ssize_t n = recv(c->fd, c->inbuf + c->in, IN_BYTES - 1 - c->in, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return drop(c);
    c->in += n;
    if (!take_requests(c) || !flush_out(c)) drop(c);
}

static void on_writable(Connection *c) {
    if (c->streaming && c->out == 0) add_stream(c);
    if (!flush_out(c)) drop(c);
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[fd] = calloc(1, sizeof(Connection));
        connections[fd]->fd = fd;
        if (fd > top) top = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

/* Sends what is due of the paced streams, and sets the timer for what comes next. */
static void keep_pace(void) {
    long next = 0, now = now_ns();
    for (int fd = 0; fd <= top; fd++) {
        Connection *c = connections[fd];
        if (!c || !c->streaming || !c->every_ns) continue;
        if (c->due <= now) {
            add_stream(c);
            if (!flush_out(c)) {
                drop(c);
                continue;
            }
        }
        if (c->streaming && (!next || c->due < next)) next = c->due;
    }
    struct itimerspec at = {.it_value = {next / 1000000000L, next % 1000000000L}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static int listen_somewhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, bytes) || listen(listener, 512)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &bytes);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(void) {
    struct epoll_event ready[256];
    signal(SIGPIPE, SIG_IGN);
    make_answer();
    int listener = listen_somewhere();
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    for (int i = 0; i < 2; i++) {
        int fd = i ? timer : listener;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
    for (;;) {
        int n = epoll_wait(poller, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            long rings;
            if (fd == listener) accept_all(listener);
            else if (fd == timer) (void)!read(timer, &rings, sizeof rings);
            else if (connections[fd] && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(connections[fd]);
            if (fd != listener && fd != timer && connections[fd] && ready[i].events & EPOLLOUT) on_writable(connections[fd]);
        }
        keep_pace();
    }
}
