#!/bin/sh
# Write Solr's tarballs to the folder $1, laid out as Apache's own archive: solr/solr/<version>/solr-<version>.tgz and its
# SHA-512. The Solr in them is the real one, assembled from the jars that Maven Central has; the launcher and the start of
# Jetty are the twin's, with the official names, folders and variables.
set -eu

out=$1
versions="9.9.0 9.10.1"
jetty=10.0.25

work=$(mktemp -d)
cd "$work"

fetch() { # goal and options of Maven
    for pause in 5 15 0; do
        mvn --quiet --batch-mode --strict-checksums --file /build/solr.pom.xml "-Dmaven.repo.local=$work/repository" "$@" && return
        sleep $pause
    done
    return 1
}

for version in $versions; do
    name=solr-$version
    server=$name/server
    fetch "-Dsolr=$version" dependency:unpack "-Dartifact=org.eclipse.jetty:jetty-home:$jetty:zip" "-DoutputDirectory=$work/jetty"
    install -d "$server/contexts" "$server/resources" "$server/solr" "$server/solr-webapp/webapp/WEB-INF/lib" "$name/bin"
    cp -R jetty/jetty-home-$jetty/etc jetty/jetty-home-$jetty/lib jetty/jetty-home-$jetty/modules \
        jetty/jetty-home-$jetty/start.jar "$server/"
    fetch "-Dsolr=$version" dependency:copy-dependencies -DincludeScope=runtime \
        "-DoutputDirectory=$work/$server/solr-webapp/webapp/WEB-INF/lib"
    install -m 0755 /build/solr.bin "$name/bin/solr"
    install -m 0644 /build/solr.log4j2.xml "$server/resources/log4j2.xml"
    echo '<solr><str name="allowUrls">${solr.allowUrls:}</str></solr>' > "$server/solr/solr.xml"
    cat > "$server/contexts/solr-jetty-context.xml" <<'END'
<!DOCTYPE Configure PUBLIC "-//Jetty//Configure//EN" "https://www.eclipse.org/jetty/configure_10_0.dtd">
<Configure class="org.eclipse.jetty.webapp.WebAppContext">
  <Set name="contextPath">/solr</Set>
  <Set name="war"><Property name="jetty.base"/>/solr-webapp/webapp</Set>
</Configure>
END
    cat > "$server/solr-webapp/webapp/WEB-INF/web.xml" <<'END'
<web-app xmlns="http://xmlns.jcp.org/xml/ns/javaee" version="4.0">
  <listener>
    <listener-class>org.apache.solr.servlet.CoreContainerProvider</listener-class>
  </listener>
  <filter>
    <filter-name>SolrRequestFilter</filter-name>
    <filter-class>org.apache.solr.servlet.SolrDispatchFilter</filter-class>
    <async-supported>true</async-supported>
  </filter>
  <filter-mapping>
    <filter-name>SolrRequestFilter</filter-name>
    <url-pattern>/*</url-pattern>
  </filter-mapping>
</web-app>
END
    install -d "$out/solr/$version"
    tar --create --gzip --owner=0 --group=0 --file "$out/solr/$version/$name.tgz" "$name"
    (cd "$out/solr/$version" && sha512sum "$name.tgz" > "$name.tgz.sha512")
done
rm -r "$work"
