import QQCore
import QQHTTP
import QQNetwork
import Testing

@testable import QQKubernetes

/// "kubeconfig, as client-go reads it": clusters.
@Suite struct ClusterEntryTests {
    private let folder: ConfigurationFolder

    init() throws { folder = try ConfigurationFolder() }

    private func access(_ cluster: String, user: String = "{}") throws -> KubernetesAccess {
        try folder.access(user: user, cluster: cluster)
    }

    @Test(
        arguments: [
            ("https://h", "https://h"), ("https://h:6443", "https://h:6443"), ("https://h:443/", "https://h"), ("http://h", "http://h"),
            ("https://10.0.0.1:8443/k8s/clusters/c-1/", "https://10.0.0.1:8443/k8s/clusters/c-1"),
            ("https://[fd00::1]:6443", "https://[fd00::1]:6443"),
            ("HTTPS://h:1", "https://h:1"), ("h:8080", "http://h:8080"), ("h", "http://h"),
        ])
    func `a server is a URL that can have a prefix of the path`(text: String, shown: String) throws {
        #expect(try access("{server: '\(text)'}").server.description == shown)
    }

    @Test func `a server without scheme is asked over TLS if there are settings for TLS`() throws {
        #expect(try access("{server: 'h:1', insecure-skip-tls-verify: true}").server.description == "https://h:1")
        #expect(try access("{server: 'h:1', certificate-authority: ca}").server.description == "https://h:1")
        #expect(try access("{server: 'h:1'}", user: "{client-certificate: c, client-key: k}").server.description == "https://h:1")
    }

    @Test(arguments: ["", "ftp://h", "https://", "https://me:s3cret@h", "https://h:99999", "/path", "https://h?token=s3cret", "h/path"])
    func `a server that is not such a URL is refused, and not shown`(text: String) throws {
        let reason = try folder.error { try access("{server: '\(text)'}") }.reason
        #expect(
            reason
                == (text.isEmpty ? "cluster \"c\": it has no server" : "cluster \"c\": its server is not a URL such as https://HOST:6443"))
    }

    @Test func `authorities are a path beside the file, or base64 of PEM, but not both`() throws {
        #expect(
            try access("{server: 'https://h', certificate-authority: certs/ca.pem}").tls.authority?.content
                == .file(folder.path + "/certs/ca.pem"))
        let file = try access("{server: 'https://h', certificate-authority: /etc/ca.pem}").tls.authority
        #expect(file?.content == .file("/etc/ca.pem"))
        #expect(file?.hint == "certificate-authority of cluster \"c\" must be in PEM form (\(folder.path)/config)")
        let data = try access("{server: 'https://h', certificate-authority-data: UEVN}").tls.authority
        #expect(data?.content == .bytes(Array("PEM".utf8)))
        #expect(data?.location == "certificate-authority-data of cluster \"c\", \(folder.path)/config")
        #expect(try access("{server: 'https://h', certificate-authority-data: \"UE\\nVN\\n\"}").tls.authority == data)
        let both = try folder.error { try access("{server: 'https://h', certificate-authority: ca, certificate-authority-data: UEVN}") }
        #expect(both.reason == "cluster \"c\": it has both certificate-authority and certificate-authority-data")
        #expect(
            try folder.error { try access("{server: 'https://h', certificate-authority-data: 's3cret!'}") }.reason.hasSuffix(
                "is not base64"))
    }

    @Test func `an unchecked server cannot have authorities as well`() throws {
        let access = try access("{server: 'https://h', insecure-skip-tls-verify: true}")
        #expect(!access.tls.checksServer)
        for authority in ["certificate-authority: ca", "certificate-authority-data: UEVN"] {
            let error = try folder.error { try self.access("{server: 'https://h', insecure-skip-tls-verify: true, \(authority)}") }
            #expect(error.reason == "cluster \"c\": it has both insecure-skip-tls-verify and a certificate-authority")
        }
        #expect(try self.access("{server: 'https://h', insecure-skip-tls-verify: false, certificate-authority: ca}").tls.checksServer)
        #expect(throws: CoordinationError.self) { try self.access("{server: 'https://h', insecure-skip-tls-verify: maybe}") }
    }

    @Test func `tls-server-name is the expected name`() throws {
        #expect(try access("{server: 'https://h', tls-server-name: api.example}").tls.serverName == "api.example")
        #expect(try access("{server: 'https://h'}").tls.serverName == nil)
        for name in ["a b", "a\\0b", "\\u00e9", String(repeating: "a", count: 256)] {
            let error = try folder.error { try self.access("{server: 'https://h', tls-server-name: \"\(name)\"}") }
            #expect(error.reason == "cluster \"c\": its tls-server-name cannot be the name of a server")
        }
    }

    @Test func `proxy-url comes before the proxies of the environment`() throws {
        folder.variables["HTTPS_PROXY"] = "http://env:3128"
        #expect(try access("{server: 'https://h'}").proxy?.description == "http://env:3128")
        #expect(try access("{server: 'http://h'}").proxy == nil)
        for url in ["http://p:1", "https://p:2", "socks5://p:3"] {
            #expect(try access("{server: 'https://h', proxy-url: '\(url)'}").proxy?.description == url)
        }
        folder.variables["NO_PROXY"] = "10.0.0.0/8,h"
        #expect(try access("{server: 'https://h'}").proxy == nil)
        #expect(try access("{server: 'https://10.1.2.3'}").proxy == nil)
        #expect(try access("{server: 'https://h', proxy-url: 'http://p:1'}").proxy != nil)
    }

    @Test func `an unusable proxy is named without its login`() throws {
        #expect(
            try folder.error { try access("{server: 'https://h', proxy-url: 'ftp://me:s3cret@p'}") }.reason.hasPrefix(
                "cluster \"c\": its proxy-url begins with ftp://"))
        folder.variables["HTTPS_PROXY"] = "http://me:s3cret@:port"
        let error = try folder.error { try access("{server: 'https://h'}") }
        #expect(error.kind == .configuration && error.reason.hasPrefix("HTTPS_PROXY is not a URL"), "\(error)")
    }

    @Test func `an exec plugin that asks for it gets the cluster`() throws {
        try folder.write("PEM", to: "ca.pem")
        let cluster = """
            {server: 'https://h:6443/p/', tls-server-name: n, certificate-authority: ca.pem, proxy-url: 'http://me:pw@p:1', extensions:
             [{name: other, extension: {}}, {name: client.authentication.k8s.io/exec, extension: {a: 1, b: 'two', c: [true, null, 1.5, 07]}}]}
            """
        let user = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: p, interactiveMode: Never, provideClusterInfo: true}}"
        guard case .plugin(let plugin) = try access(cluster, user: user).credential.method else {
            Issue.record("no plugin")
            return
        }
        #expect(
            plugin.input(isInteractive: false) == """
                {"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false,"cluster":{"server":"https://h:6443/p",\
                "tls-server-name":"n","certificate-authority-data":"UEVN","proxy-url":"http://me:pw@p:1","config":{"a":1,"b":"two","c":[true,null,1.5,"07"]}}}}
                """)
        var dumped = ""
        dump(plugin, to: &dumped)
        #expect(!(dumped + "\(plugin)" + String(reflecting: plugin)).contains("pw@"), "\(dumped)")
    }
}
