import QQCore
import QQHTTP
import QQNetwork
import Support
import Synchronization
import Testing

// One after another: all connections of a process share one thread, and timed tests must not wait for it.
@Suite("Calls to an HTTP server", .serialized) struct CallTests {
    @Test(arguments: Version.allCases)
    func `calls are answered over one connection, which is made when it is needed`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server()
            let endpoint = fixture.endpoint(server.port)
            for number in 1...20 { #expect(try await endpoint.text("/\(number)") == "GET /\(number)") }
            #expect(server.connections == 1)
            #expect(server.requests.allSatisfy { $0.isHTTP2 == (version == .http2) })
            endpoint.close()
            #expect(try await endpoint.text("/again") == "GET /again")
            #expect(server.connections == 2)
        }
    }

    @Test(arguments: Version.allCases)
    func `a request carries its fields and body, and the answer its status and fields`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server {
                .answer(409, "no: " + String(decoding: $0.body, as: UTF8.self), fields: ["retry-after": "2"])
            }
            let endpoint = fixture.endpoint(server.port, path: "/k8s/")
            let request = HTTPRequest(
                .post, "/leases?x=%20",
                fields: [.init("Accept", "application/json"), .init("Impersonate-Group", "a"), .init("Impersonate-Group", "b")],
                body: Array("body".utf8))
            let answer = try await endpoint.call(request, isRepeatable: false, until: SystemClock().now() + .seconds(60))
            #expect(answer.status == 409 && answer.field("Retry-After") == "2" && answer.body == Array("no: body".utf8))
            let received = try #require(server.requests.first)
            #expect(received.method == "POST" && received.target == "/k8s/leases?x=%20" && received.body == Array("body".utf8))
            #expect(received.fields["accept"] == "application/json" && received.fields["content-length"] == "4")
            #expect(received.fields["impersonate-group"] == "a, b")
            #expect((received.fields["host"] ?? received.fields[":authority"]) == "127.0.0.1:\(server.port)")
        }
    }

    @Test(arguments: Version.allCases)
    func `a redirect is an answer, and is not followed`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { .answer(302, "", fields: ["location": $0.target == "/a" ? "/b" : "/a"]) }
            let answer = try await fixture.endpoint(server.port).ask("/a")
            #expect(answer.status == 302 && answer.field("location") == "/b" && server.targets == ["/a"])
        }
    }

    @Test(arguments: Version.allCases)
    func `connecting begins before the first call when prepared`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server()
            let endpoint = fixture.endpoint(server.port)
            endpoint.prepare()
            try await waitUntil("a connection is made") { server.connections == 1 }
            #expect(server.requests.isEmpty)
            #expect(try await endpoint.text("/a") == "GET /a")
            #expect(server.connections == 1)
        }
    }

    @Test(arguments: Version.allCases) func `many calls at a time are answered`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server(maximumStreams: 50)
            let endpoint = fixture.endpoint(server.port)
            let right = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 1...300 {
                    group.addTask { try await endpoint.text("/\(number)", isRepeatable: false) == "PUT /\(number)" }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(right == 300 && server.requests.count == 300)
            #expect(server.connections <= 16)
        }
    }

    // MARK: Deadlines

    @Test(arguments: Version.allCases, [false, true])
    func `a call ends at its deadline if nothing arrives, from the start or suddenly`(version: Version, isConnected: Bool) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server()
            try await withGrowingTime(from: .milliseconds(700)) { timeout in
                let proxy = try Proxy(to: UInt16(server.port), in: fixture.box)
                let endpoint = fixture.endpoint(Int(proxy.port))
                if isConnected { #expect(try await endpoint.text("/first") == "GET /first") }
                proxy.silence()
                let began = ContinuousClock.now
                let failure = try #require(await endpoint.failure("/lost", timeout: timeout))
                let took = ContinuousClock.now - began
                #expect(took >= timeout - .milliseconds(10) && took < timeout + .seconds(20), "\(took)")
                #expect(failure.kind == .timedOut && failure.reason == "no answer in time", "\(failure)")
                // Without TLS the request is sent as soon as the connection is accepted.
                if isConnected || version == .plain { guard failure.wasSent else { return false } } else { #expect(!failure.wasSent) }
                #expect(!server.targets.contains("/lost"))
                // The next call does not wait for the dead connection.
                proxy.conditions = .init()
                #expect(try await endpoint.text("/next") == "GET /next")
                return true
            }
        }
    }

    @Test(arguments: Version.allCases) func `a call does not wait for a connection that is dead for good`(version: Version) async throws {
        try await withFixture(version) { fixture in
            try await withGrowingTime(from: .milliseconds(300)) { timeout in
                let server = try await fixture.server { $0.target == "/lost" ? .silence : .answer(200, "ok") }
                let endpoint = fixture.endpoint(server.port)
                #expect(try await endpoint.text("/first") == "ok")
                let failure = try #require(await endpoint.failure("/lost", timeout: timeout))
                #expect(failure.kind == .timedOut)
                guard failure.wasSent else { return false }
                #expect(try await endpoint.text("/next") == "ok")
                #expect(server.connections == 2)
                return true
            }
        }
    }

    @Test(arguments: Version.allCases) func `a call does not wait for an attempt to connect that is dead for good`(version: Version)
        async throws
    {
        try await withFixture(version) { fixture in
            let server = try await fixture.server()
            let proxy = try Proxy(to: UInt16(server.port), in: fixture.box)
            proxy.conditions.lossy = [.toServer, .toClient]
            let endpoint = fixture.endpoint(Int(proxy.port))
            for _ in 0..<5 { #expect(await endpoint.failure("/lost", timeout: .milliseconds(200))?.kind == .timedOut) }
            proxy.refuse()
            let failure = try #require(await endpoint.failure("/refused"))
            #expect(failure.reason == "Connection refused", "\(failure)")
            proxy.pass()
            #expect(try await endpoint.text("/next") == "GET /next")
            // Attempts of which nothing is heard do not pile up.
            try await waitUntil("at most four are left") { proxy.live <= 4 }
        }
    }

    @Test(arguments: Version.allCases) func `connections end with their endpoint`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server()
            do {
                let endpoint = fixture.endpoint(server.port)
                #expect(try await endpoint.text("/x") == "GET /x")
                #expect(server.live == 1)
            }
            try await waitUntil("the connection has ended") { server.live == 0 }
        }
    }

    @Test func `a connection over which other answers come is kept after a call has timed out`() async throws {
        try await withFixture(.http2) { fixture in
            try await withGrowingTime(from: .milliseconds(500)) { timeout in
                let server = try await fixture.server { $0.target == "/slow" ? .silence : .answer(200, "ok") }
                let endpoint = fixture.endpoint(server.port)
                #expect(try await endpoint.text("/first") == "ok")
                let deadline = ContinuousClock.now + timeout
                async let slow = endpoint.failure("/slow", timeout: timeout)
                try? await waitUntil("it was sent", within: timeout) { server.targets.contains("/slow") }
                #expect(try await endpoint.text("/second") == "ok")
                let isInTime = server.targets == ["/first", "/slow", "/second"] && ContinuousClock.now < deadline
                #expect(await slow?.kind == .timedOut)
                guard isInTime else { return false }
                #expect(try await endpoint.text("/third") == "ok")
                #expect(server.connections == 1)
                return true
            }
        }
    }

    @Test(arguments: [Version.http1, .http2])
    func `a call ends at its deadline if the server does not finish the TLS handshake, and tells that nothing was sent`(
        version: Version
    ) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server()
            let proxy = try Proxy(to: UInt16(server.port), in: fixture.box)
            var conditions = Proxy.Conditions()
            conditions.silent = [.toClient]
            proxy.conditions = conditions
            let endpoint = fixture.endpoint(Int(proxy.port))
            let failure = try #require(await endpoint.failure("/x", isRepeatable: false, timeout: .milliseconds(500)))
            #expect(failure.kind == .timedOut && !failure.wasSent, "\(failure)")
        }
    }

    @Test(arguments: Version.allCases) func `a call ends at its deadline if the answer comes too slowly`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { $0.target == "/slow" ? .stream() : .answer(200, "ok") }
            let endpoint = fixture.endpoint(server.port)
            let drip = Task {
                while !Task.isCancelled {
                    server.push("x")
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
            defer { drip.cancel() }
            try await withGrowingTime(from: .milliseconds(600)) { timeout in
                let failure = try #require(await endpoint.failure("/slow", isRepeatable: false, timeout: timeout))
                #expect(failure.kind == .timedOut)
                return failure.wasSent
            }
            #expect(try await endpoint.text("/next") == "ok")
        }
    }

    @Test(arguments: Version.allCases) func `a call whose deadline has passed sends nothing`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server()
            let endpoint = fixture.endpoint(server.port)
            for _ in 0..<20 {
                let failure = try #require(await endpoint.failure("/x", isRepeatable: false, timeout: .zero))
                #expect(failure.kind == .timedOut && !failure.wasSent)
            }
            #expect(try await endpoint.text("/next") == "GET /next")
            #expect(server.targets == ["/next"])
        }
    }

    @Test(arguments: Version.allCases, [false, true])
    func `a call ends at once when its task is cancelled`(version: Version, isConnected: Bool) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { $0.target == "/wait" ? .silence : .answer(200, "ok") }
            // The time after which the call is cancelled.
            try await withGrowingTime(from: .milliseconds(100)) { time in
                let proxy = try Proxy(to: UInt16(server.port), in: fixture.box)
                let endpoint = fixture.endpoint(Int(proxy.port))
                if isConnected { #expect(try await endpoint.text("/first") == "ok") } else { proxy.silence() }
                let task = Task { await endpoint.failure("/wait", isRepeatable: false, timeout: .seconds(300)) }
                if isConnected { try await waitUntil("it was sent") { server.targets.contains("/wait") } }
                try await Task.sleep(for: time)
                let began = ContinuousClock.now
                task.cancel()
                let failure = try #require(await task.value)
                #expect(failure.kind == .cancelled)
                #expect(ContinuousClock.now - began < .seconds(60))
                // Without TLS the request is sent as soon as the connection is accepted.
                if version == .plain, !isConnected { guard failure.wasSent else { return false } }
                #expect(failure.wasSent == (isConnected || version == .plain))
                proxy.pass()
                #expect(try await endpoint.text("/next") == "ok")
                return true
            }
        }
    }

    // MARK: Connections that end

    @Test(arguments: Version.allCases, [false, true])
    func `a call goes over a new connection if the old one was cut while it was idle`(version: Version, isRepeatable: Bool) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { .answer(200, $0.target) }
            let proxy = try Proxy(to: UInt16(server.port), in: fixture.box)
            let endpoint = fixture.endpoint(Int(proxy.port))
            for round in 1...4 {
                #expect(try await endpoint.text("/\(round)", isRepeatable: isRepeatable) == "/\(round)")
                proxy.cut(reset: round.isMultiple(of: 2))
                try await waitUntil("it is cut") { proxy.live == 0 }
                // Until the client has noticed it, too.
                try await NetworkThread.turns()
            }
            #expect(server.targets == ["/1", "/2", "/3", "/4"])
        }
    }

    @Test(arguments: Version.allCases, [false, true])
    func `a request that was sent is not sent again, unless it can be carried out twice`(version: Version, isRepeatable: Bool) async throws
    {
        try await withFixture(version) { fixture in
            let isFirst = Mutex(true)
            let server = try await fixture.server { request in
                let cuts =
                    request.target == "/change"
                    && isFirst.withLock { first in
                        defer { first = false }
                        return first
                    }
                return cuts ? .cut : .answer(200, "ok")
            }
            let endpoint = fixture.endpoint(server.port)
            #expect(try await endpoint.text("/first") == "ok")
            let failure = await endpoint.failure("/change", isRepeatable: isRepeatable)
            if isRepeatable {
                #expect(failure == nil)
                #expect(server.targets == ["/first", "/change", "/change"])
            } else {
                #expect(failure?.kind == .disconnected && failure?.wasSent == true, "\(failure as Any)")
                #expect(server.targets == ["/first", "/change"])
                #expect(try await endpoint.text("/next") == "ok")
            }
        }
    }

    @Test(arguments: Version.allCases)
    func `a server that ends each connection without an answer is not asked again and again`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { _ in .cut }
            let failure = try #require(await fixture.endpoint(server.port).failure("/x"))
            #expect(failure.kind == .disconnected && failure.wasSent)
            #expect(failure.reason == "the server ended the connection without an answer", "\(failure)")
            #expect(server.requests.count == 1)
        }
    }

    @Test(arguments: [Version.plain, .http1])
    func `an answer that the server breaks off is told as that, not as another protocol's`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { _ in .cutAnswer }
            let failure = try #require(await fixture.endpoint(server.port).failure("/x", isRepeatable: false))
            #expect(failure.reason.hasPrefix("the server ended the connection"), "\(failure)")
            #expect(failure.kind == .disconnected && failure.wasSent, "\(failure)")
            if version == .plain { #expect(failure.reason == "the server ended the connection before its answer was complete") }
        }
    }

    @Test func `the hint about TLS is the one of the settings`() async throws {
        try await withFixture(.plain) { fixture in
            let server = try await fixture.server { _ in .cut }
            let endpoint = fixture.endpoint(server.port) { $0.tlsHint = "With TLS, it is secure://" }
            let failure = try #require(await endpoint.failure("/x"))
            #expect(failure.hint == "is that the right port? With TLS, it is secure://", "\(failure)")
        }
    }

    @Test func `a request that the server refuses unprocessed goes over a new connection, repeatable or not`() async throws {
        try await withFixture(.http2) { fixture in
            for reply in [TestReply.reset(.refusedStream), .goAwayBefore] {
                let server = try await fixture.server { $0.connection == 1 && $0.target == "/x" ? reply : .answer(200, "ok") }
                let endpoint = fixture.endpoint(server.port)
                #expect(try await endpoint.text("/first", isRepeatable: false) == "ok")
                #expect(try await endpoint.text("/x", isRepeatable: false) == "ok")
                #expect(server.requests.map(\.connection) == [1, 1, 2])
            }
        }
    }

    @Test func `a server that refuses every request is not asked for ever, and the request counts as not sent`() async throws {
        try await withFixture(.http2) { fixture in
            let server = try await fixture.server { _ in .reset(.refusedStream) }
            let failure = try #require(await fixture.endpoint(server.port).failure("/x", isRepeatable: false))
            #expect(!failure.wasSent && server.requests.count == 4, "\(failure)")
        }
    }

    @Test func `a stream that the server breaks off fails as sent, and its connection stays`() async throws {
        try await withFixture(.http2) { fixture in
            let server = try await fixture.server { $0.target == "/x" ? .reset(.internalError) : .answer(200, "ok") }
            let endpoint = fixture.endpoint(server.port)
            let failure = try #require(await endpoint.failure("/x", isRepeatable: false))
            #expect(failure.kind == .disconnected && failure.wasSent)
            #expect(try await endpoint.text("/next") == "ok")
            #expect(server.connections == 1 && server.targets == ["/x", "/next"])
        }
    }

    @Test func `calls are not affected by a server that announces the end of connections again and again`() async throws {
        try await withFixture(.http2) { fixture in
            let server = try await fixture.server { .goAwayAndAnswer($0.target) }
            let endpoint = fixture.endpoint(server.port)
            for number in 1...20 { #expect(try await endpoint.text("/\(number)", isRepeatable: false) == "/\(number)") }
            #expect(server.targets == (1...20).map { "/\($0)" } && server.connections == 20)
        }
    }

    @Test(arguments: Version.allCases) func `calls fail at once if nobody listens, and succeed again later`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server()
            let proxy = try Proxy(to: UInt16(server.port), in: fixture.box)
            proxy.refuse()
            let endpoint = fixture.endpoint(Int(proxy.port))
            let began = ContinuousClock.now
            let failure = try #require(await endpoint.failure("/x", isRepeatable: false))
            #expect(failure.kind == .notConnected && failure.reason == "Connection refused" && !failure.wasSent, "\(failure)")
            #expect(failure.hint?.contains("nothing listens there") == true && failure.endpoint == "127.0.0.1:\(proxy.port)")
            #expect(ContinuousClock.now - began < .seconds(20), "it does not wait for the deadline")
            proxy.pass()
            #expect(try await endpoint.text("/x") == "GET /x")
        }
    }

    @Test func `a host that does not exist fails with a short reason`() async throws {
        let endpoint = HTTPEndpoint(HTTPServer(.https, host: "no-such-host.invalid"), clock: SystemClock())
        let failure = try #require(await endpoint.failure("/x", timeout: .seconds(5)))
        #expect([.notConnected, .timedOut].contains(failure.kind) && !failure.wasSent, "\(failure)")
        #expect(failure.reason.utf8.count < 100, "\(failure)")
    }

    // MARK: Limits

    @Test(arguments: Version.allCases) func `an answer that is too large fails with the limit, and the next call succeeds`(version: Version)
        async throws
    {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { $0.target == "/much" ? .flood(100_000) : .answer(200, "ok") }
            let endpoint = fixture.endpoint(server.port) { $0.maximumAnswer = 50_000 }
            let failure = try #require(await endpoint.failure("/much"))
            #expect(failure.kind == .brokenAnswer && failure.wasSent && failure.reason.contains("50000"), "\(failure)")
            #expect(try await endpoint.text("/next") == "ok")
            let generous = fixture.endpoint(server.port) { $0.maximumAnswer = 100_000 }
            #expect(try await generous.ask("/much").body.count == 100_000)
        }
    }

    @Test(arguments: Version.allCases) func `a large answer comes completely`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { _ in .flood(5_000_000) }
            let body = try await fixture.endpoint(server.port).ask("/much").body
            #expect(body.count == 5_000_000)
        }
    }

    @Test(arguments: Version.allCases) func `a large request is sent completely`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { .answer(200, "\($0.body.count)") }
            let request = HTTPRequest(.put, "/", body: [UInt8](repeating: 0x78, count: 3_000_000))
            let answer = try await fixture.endpoint(server.port).call(
                request, isRepeatable: false, until: SystemClock().now() + .seconds(60))
            #expect(answer.body == Array("3000000".utf8))
        }
    }

    @Test(arguments: Version.allCases) func `an answer whose head is too large fails`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { _ in .largeHead }
            let failure = try #require(await fixture.endpoint(server.port).failure("/x", isRepeatable: false))
            #expect(failure.kind == .brokenAnswer && failure.wasSent && failure.reason.contains("head"), "\(failure.kind) \(failure)")
        }
    }

    @Test func `a request that would be something else on the wire is not sent`() async throws {
        try await withFixture(.plain) { fixture in
            let server = try await fixture.server()
            let endpoint = fixture.endpoint(server.port)
            for request in [
                HTTPRequest(.get, "no-slash"), HTTPRequest(.get, "/a b"), HTTPRequest(.get, "/a\r\nX: y"), HTTPRequest(.get, "/ü"),
                HTTPRequest(.get, "/", fields: [.init("Authorization", "Bearer a\r\nX: y")]),
                HTTPRequest(.get, "/", fields: [.init("A:b", "c")]),
                HTTPRequest(.get, "/", fields: [.init("Host", "other")]),
                HTTPRequest(.get, "/", fields: [.init("Transfer-Encoding", "chunked")]),
                HTTPRequest(.get, "/", fields: [.init("", "x")]),
            ] {
                do throws(HTTPFailure) {
                    _ = try await endpoint.call(request, isRepeatable: true, until: SystemClock().now() + .seconds(60))
                    Issue.record("was sent: \(request)")
                } catch {
                    #expect(error.kind == .invalidRequest && !error.wasSent && !error.reason.contains("Bearer"), "\(error)")
                }
            }
            #expect(server.requests.isEmpty)
        }
    }
}
