# A real browser, for the pages of the watchers. Debian's: Ubuntu has Chromium as a snap only.
ARG base
FROM ${base}
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
RUN apt-get update \
 && apt-get install --yes --no-install-recommends chromium chromium-driver fonts-dejavu-core python3-selenium \
 && apt-get clean
COPY browser.py /usr/local/bin/
CMD ["sleep", "infinity"]
