import Glibc
import Support
import Synchronization
import Testing

@Suite("Proxy") struct ProxyTests {
    /// A client's end and a server's end of one connection through a proxy.
    private struct Pair {
        let client: CInt
        let server: CInt

        init(_ proxy: Proxy, _ listener: CInt) async throws {
            client = try Socket.connect(proxy.port)
            server = try await waitFor("the proxy's connection") { Socket.accept(listener) }
        }

        func close() {
            Glibc.close(client)
            Glibc.close(server)
        }
    }

    private func with(_ body: (Proxy, CInt) async throws -> Void) async throws {
        try await inSandbox { box in
            let listener = try Socket.bind()
            listen(listener, 16)
            Socket.makeNonBlocking(listener)
            defer { close(listener) }
            try await body(try Proxy(to: Socket.port(of: listener), in: box), listener)
        }
    }

    private func receive(_ descriptor: CInt, within limit: Duration = .seconds(60)) throws -> String? {
        guard Socket.waitReadable(descriptor, until: ContinuousClock.now + limit) else { return nil }
        return String(decoding: try Socket.read(descriptor), as: UTF8.self)
    }

    /// Reads until this many bytes have arrived, the stream ends, or nothing more comes.
    private func receive(_ descriptor: CInt, count: Int) throws -> String {
        var text = ""
        while text.utf8.count < count, let part = try receive(descriptor, within: .seconds(20)), !part.isEmpty { text += part }
        return text
    }

    @Test("the proxy passes and counts both directions and their ends")
    func passes() async throws {
        try await with { proxy, listener in
            let pair = try await Pair(proxy, listener)
            try Socket.write(pair.client, Array("question".utf8))
            #expect(try receive(pair.server) == "question")
            try Socket.write(pair.server, Array("answer".utf8))
            #expect(try receive(pair.client) == "answer")
            #expect(proxy.accepted == 1 && proxy.live == 1)
            try await waitUntil("everything is counted") { proxy.passed(.toServer) == 8 && proxy.passed(.toClient) == 6 }
            shutdown(pair.client, CInt(SHUT_WR))
            #expect(try receive(pair.server) == "")
            pair.close()
            try await waitUntil("no connection is open") { proxy.live == 0 }
        }
    }

    @Test("the proxy refuses connections and listens again on the same port")
    func refuses() async throws {
        try await with { proxy, listener in
            proxy.refuse()
            try await waitUntil("connections are refused") {
                do {
                    close(try Socket.connect(proxy.port))
                    return false
                } catch { return "\(error)".contains("refused") }
            }
            proxy.pass()
            try await waitUntil("the proxy listens") { (try? Socket.connect(proxy.port)).map { close($0) } != nil }
        }
    }

    @Test("the proxy resets new connections, and existing ones on request")
    func resets() async throws {
        try await with { proxy, listener in
            let pair = try await Pair(proxy, listener)
            proxy.conditions.arrivals = .reset
            #expect(throws: SocketError.self) {
                let other = try Socket.connect(proxy.port)
                defer { close(other) }
                _ = try receive(other)
            }
            try Socket.write(pair.client, Array("x".utf8))
            #expect(try receive(pair.server) == "x")
            proxy.cut()
            #expect(throws: SocketError.self) { try receive(pair.client) }
            pair.close()
        }
    }

    @Test("the proxy keeps data sent into a silent connection until the connection works again", arguments: Proxy.Direction.allCases)
    func silence(direction: Proxy.Direction) async throws {
        try await with { proxy, listener in
            let pair = try await Pair(proxy, listener)
            proxy.silence([direction])
            let (dead, far) = direction == .toServer ? (pair.client, pair.server) : (pair.server, pair.client)
            try Socket.write(dead, Array("kept".utf8))
            #expect(try receive(far, within: .milliseconds(100)) == nil)
            try Socket.write(far, Array("passes".utf8))
            #expect(try receive(dead) == "passes")
            proxy.pass()
            #expect(try receive(far) == "kept")
            pair.close()
        }
    }

    @Test("the proxy accepts connections while it is silent and drops the data of a lossy one")
    func blackHole() async throws {
        try await with { proxy, listener in
            proxy.silence()
            let pair = try await Pair(proxy, listener)
            try Socket.write(pair.client, Array("a".utf8))
            #expect(try receive(pair.server, within: .milliseconds(100)) == nil)
            proxy.pass()
            #expect(try receive(pair.server) == "a")
            proxy.conditions.lossy = [.toServer]
            try Socket.write(pair.client, Array("lost".utf8))
            try Socket.write(pair.server, Array("back".utf8))
            #expect(try receive(pair.client) == "back")
            #expect(try receive(pair.server, within: .milliseconds(100)) == nil)
            pair.close()
        }
    }

    @Test("the proxy falls silent after the byte at which its tap asks for that")
    func tapped() async throws {
        try await inSandbox { box in
            let listener = try Socket.bind()
            listen(listener, 16)
            Socket.makeNonBlocking(listener)
            defer { close(listener) }
            let own = Mutex<Proxy?>(nil)
            let proxy = try Proxy(to: Socket.port(of: listener), in: box) { _, direction, bytes in
                if direction == .toServer, bytes.contains(UInt8(ascii: "!")) { own.withLock { $0 }?.silence() }
            }
            own.withLock { $0 = proxy }
            let pair = try await Pair(proxy, listener)
            try Socket.write(pair.client, Array("hush!".utf8))
            #expect(try receive(pair.server) == "hush!")
            try Socket.write(pair.server, Array("what?".utf8))
            #expect(try receive(pair.client, within: .milliseconds(200)) == nil)
            proxy.pass()
            #expect(try receive(pair.client) == "what?")
            pair.close()
        }
    }

    @Test("the proxy delays data and limits the bytes per second")
    func slow() async throws {
        try await with { proxy, listener in
            let pair = try await Pair(proxy, listener)
            proxy.conditions.delay = .milliseconds(200)
            var began = ContinuousClock.now
            try Socket.write(pair.client, Array("late".utf8))
            #expect(try receive(pair.server) == "late")
            #expect(ContinuousClock.now - began >= .milliseconds(200))
            proxy.pass()
            proxy.conditions.bytesPerSecond = 1000
            began = ContinuousClock.now
            try Socket.write(pair.client, Array(repeating: 65, count: 400))
            var count = 0
            while count < 400, let part = try receive(pair.server) { count += part.utf8.count }
            #expect(ContinuousClock.now - began >= .milliseconds(350))
            pair.close()
        }
    }

    @Test("the proxy cuts a connection after an exact number of bytes")
    func cutAfter() async throws {
        try await with { proxy, listener in
            proxy.conditions.cutAfter = [.toServer: 5]
            let pair = try await Pair(proxy, listener)
            try Socket.write(pair.client, Array("12345678".utf8))
            try await waitUntil("the connection is cut") { proxy.live == 0 && proxy.passed(.toServer) > 0 }
            #expect(proxy.passed(.toServer) == 5)
            pair.close()
        }
    }

    @Test("the proxy injects bytes, also before a stream begins, and can connect to another server")
    func injects() async throws {
        try await with { proxy, listener in
            proxy.conditions.prefix = [.toClient: Array("junk".utf8)]
            let pair = try await Pair(proxy, listener)
            #expect(try receive(pair.client) == "junk")
            proxy.inject(Array("more".utf8))
            #expect(try receive(pair.client) == "more")
            pair.close()
            let other = try Socket.bind()
            listen(other, 1)
            Socket.makeNonBlocking(other)
            defer { close(other) }
            proxy.upstream = Socket.port(of: other)
            try await Pair(proxy, other).close()
        }
    }

    @Test("the proxy names connections by their first bytes, forwards none before, and is silent on the names that are given")
    func names() async throws {
        try await inSandbox { box in
            let listener = try Socket.bind()
            listen(listener, 16)
            Socket.makeNonBlocking(listener)
            defer { close(listener) }
            let proxy = try Proxy(
                to: Socket.port(of: listener), in: box, name: { $0.count < 2 ? nil : String(decoding: $0, as: UTF8.self) })
            proxy.conditions.silentNames = ["no"]
            let (one, other) = (try await Pair(proxy, listener), try await Pair(proxy, listener))
            try Socket.write(one.client, Array("n".utf8))
            try Socket.write(other.client, Array("n".utf8))
            #expect(try receive(one.server, within: .milliseconds(200)) == nil)
            try Socket.write(one.client, Array("o".utf8))
            try Socket.write(other.client, Array("i".utf8))
            // What was held back is forwarded in the parts in which it came.
            #expect(try receive(other.server, count: 2) == "ni")
            try Socket.write(other.client, Array("more".utf8))
            #expect(try receive(other.server, count: 4) == "more")
            try Socket.write(one.server, Array("answer".utf8))
            #expect(try receive(one.client, within: .milliseconds(200)) == nil)
            #expect(try receive(one.server, within: .milliseconds(200)) == nil)
            proxy.pass()
            #expect(try receive(one.server, count: 2) == "no")
            #expect(try receive(one.client, count: 6) == "answer")
            one.close()
            other.close()
        }
    }
}
