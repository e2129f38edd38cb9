"""How the plugins find the primary of a set of Redis: they ask its Sentinels."""

from plugin import add_login, endpoints


def connect(address, port, user, password, timeout):
    """Return a connection that gives up soon."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis(
        address,
        port,
        username=user,
        password=password,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def primaries(options, user, password):
    """Return for each Sentinel the address of the primary, or the exception that it raised."""
    from redis.exceptions import RedisError

    said = {}
    for address, port in options.sentinels:
        client = connect(address, port, user, password, options.timeout)
        try:
            answer = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", options.name)
            said[address] = (answer[0], int(answer[1])) if answer else None
        except RedisError as error:
            said[address] = error
        finally:
            client.close()
    return said


def add_options(parser):
    """Give the parser what these functions need."""
    parser.add_argument("--sentinels", type=endpoints, required=True, help="host:port,host:port")
    parser.add_argument("--name", default="main", help="the name that the Sentinels know the set by (%(default)s)")
    parser.add_argument("--timeout", type=float, default=2, metavar="SECONDS", help="of one server (%(default)s)")
    add_login(parser, "redis")


def most(said):
    """Return the primary that most Sentinels name, how many do, and how many answered."""
    answers = [answer for answer in said.values() if isinstance(answer, tuple)]
    if not answers:
        return None, 0, 0
    primary = max(set(answers), key=answers.count)
    return primary, answers.count(primary), len(answers)
