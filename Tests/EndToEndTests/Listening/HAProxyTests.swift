import Foundation
import Glibc
import Support
import Testing

@Suite("Behind HAProxy") struct HAProxyTests {
    /// The recipe with the addresses of this test, and the servers themselves: each answers with its name.
    private func configuration(_ ports: [UInt16], in box: Sandbox) throws -> String {
        let recipe = Page.top.appendingPathComponent("packaging/haproxy/haproxy.cfg")
        var text = try String(contentsOf: recipe, encoding: .utf8)
        let changes =
            [("bind 127.0.0.1:80\n", "bind unix@\(box.path("front"))\n"), (" port 8008 ", " ")]
            + ports.enumerated().map { index, port in
                (
                    "server web-\(index + 1) 10.0.0.\(index + 5):8080 check\n",
                    "server web-\(index + 1) unix@\(box.path("web-\(index + 1)")) check addr 127.0.0.1 port \(port)\n"
                )
            }
        for (old, new) in changes {
            #expect(text.contains(old), "the recipe has changed: \(old)")
            text = text.replacing(old, with: new)
        }
        for index in 1...ports.count {
            text += """

                frontend web-\(index)
                    bind unix@\(box.path("web-\(index)"))
                    http-request return status 200 content-type text/plain string web-\(index)

                """
        }
        return text
    }

    @Test("requests go to the machine that leads and to no other; after kill -9 they go to the next one") func leaderOnly() async throws {
        try await inSandbox(.heavy) { box in
            let first = try box.qq("keepalive", "web", "--listen", ":0")
            try await first.waitForLeader(200)
            let second = try box.qq("keepalive", "web", "--listen", ":0")
            #expect(try await second.ask("/leader").status == 503)
            let ports = [try await first.listeningPort(), try await second.listeningPort()]
            try box.write(try configuration(ports, in: box), to: "haproxy.cfg")
            let haproxy = try Started(try HAProxy.launch(configuration: box.path("haproxy.cfg"), in: box), in: box)
            /// The name of the server to which a request came; nil if there was none.
            func served() -> String? {
                guard let answer = try? httpGet(unix: box.path("front"), "/"), answer.status == 200 else { return nil }
                return String(decoding: answer.body, as: UTF8.self)
            }
            // HAProxy reports the end of its first checks: the second machine does not lead.
            try await waitUntil("haproxy has checked: \(haproxy.errors)") {
                guard haproxy.child.isRunning else { throw TimedOut("haproxy ended: \(haproxy.errors)") }
                return haproxy.errors.contains("leader/web-2 is DOWN")
            }
            for _ in 0..<20 { #expect(served() == "web-1") }
            first.child.signal(SIGKILL)
            _ = try await first.finish()
            try await second.waitForLeader(200)
            try await waitUntil("requests come to the next one: \(haproxy.errors)") { served() == "web-2" }
            for _ in 0..<20 { #expect(served() == "web-2") }
            // Released: nobody leads, and nobody is asked.
            try await second.terminate()
            try await waitUntil("no request is served: \(haproxy.errors)") { served() == nil }
            haproxy.child.signal(SIGTERM)
            _ = try await haproxy.finish()
        }
    }
}
