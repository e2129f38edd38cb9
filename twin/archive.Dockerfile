# The upstream package archives that the twin's hosts install from, built from packages that a machine without access to
# those archives can still get, and served over HTTP.
ARG host_image
FROM ${host_image} AS solr
RUN apt-get update && apt-get install --yes --no-install-recommends maven
COPY archive/solr* /build/
RUN /build/solr.sh /srv/archive/solr

FROM ${host_image} AS mongodb
RUN apt-get update && apt-get install --yes --no-install-recommends gnupg libcurl4 python3-pip reprepro
COPY archive/mongod* /build/
RUN /build/mongodb.sh /srv/archive/mongodb

FROM ${host_image}
COPY --from=mongodb /srv/archive /srv/archive
COPY --from=solr /srv/archive /srv/archive
STOPSIGNAL SIGKILL
CMD ["/usr/bin/python3", "-m", "http.server", "80", "--directory", "/srv/archive"]
