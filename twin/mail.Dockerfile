# Where all mail of the twin ends: a mail server that keeps what it gets for people and tests to read.
ARG host_image
FROM ${host_image}
RUN apt-get update && apt-get install --yes --no-install-recommends python3-aiosmtpd && apt-get clean
COPY mail.py /usr/local/bin/
STOPSIGNAL SIGKILL
CMD ["/usr/bin/python3", "-u", "/usr/local/bin/mail.py"]
