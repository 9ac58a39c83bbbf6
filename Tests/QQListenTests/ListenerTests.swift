import Glibc
import NIOCore
import QQCore
import Support
import Synchronization
import Testing
import Traits

@testable import QQListen

@Suite("Serving HTTP", .ownThread) struct ListenerTests {
    @Test("HTTP/1.0 and HTTP/1.1 get one answer, and then the end of the connection", arguments: ["1.0", "1.1"])
    func versions(version: String) throws {
        let listener = try Listener.echo()
        defer { listener.stop() }
        let answer = try Client.ask(listener, "GET /leader?x HTTP/\(version)\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(answer.contains("\r\nContent-Length: 10\r\n") && answer.contains("\r\nConnection: close\r\n"))
        #expect(answer.contains("\r\nCache-Control: no-store\r\n") && answer.contains("\r\nDate: "))
        #expect(answer.hasSuffix("\r\n\r\n/leader?x\n"))
    }

    @Test("HEAD gets the length of the body, and no body") func head() throws {
        let listener = try Listener.echo()
        defer { listener.stop() }
        let answer = try Client.ask(listener, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(answer.contains("\r\nContent-Length: 2\r\n") && answer.hasSuffix("\r\n\r\n"))
    }

    @Test("a method that is not allowed, with or without a body, is answered although the body is not read")
    func methods() throws {
        let board = Board(at: .at(0.0))
        let listener = try Listener(
            .tcp([127, 0, 0, 1], port: 0), board: board, now: { .at(0) }, metrics: { "" }, failed: { _ in })
        defer { listener.stop() }
        let body = String(repeating: "x", count: 5000)
        let answer = try Client.ask(listener, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + body)
        #expect(answer.hasPrefix("HTTP/1.1 405 ") && answer.contains("\r\nAllow: GET, HEAD\r\n"))
        #expect(
            try Client.ask(listener, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").hasPrefix("HTTP/1.1 413 "))
        #expect(try Client.ask(listener, "GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
    }

    @Test("a request in pieces, and a client that closes its end after the request, are answered") func pieces() throws {
        let listener = try Listener.echo()
        defer { listener.stop() }
        let client = try Client(listener)
        for byte in "GET /a HTTP/1.0\r\n\r\n" { try client.send(String(byte)) }
        shutdown(client.descriptor, CInt(SHUT_WR))
        #expect(try client.readToEnd().hasSuffix("\r\n\r\n/a\n"))
    }

    @Test(
        "what is not HTTP is answered with 400 and cut off",
        arguments: ["hello\r\n\r\n", "GET\r\n\r\n", "\0\0\0\0\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}"])
    func garbage(text: String) throws {
        let listener = try Listener.echo()
        defer { listener.stop() }
        #expect(try Client.ask(listener, text).hasPrefix("HTTP/1.1 400 "))
        #expect(try Client.ask(listener, "GET / HTTP/1.0\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
    }

    @Test("a head of more than 8 KiB is answered with 431, however it is made up") func largeHead() throws {
        let listener = try Listener.echo()
        defer { listener.stop() }
        let heads = [
            "GET /" + String(repeating: "x", count: 9000) + " HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nA: " + String(repeating: "x", count: 9000) + "\r\n",
            "GET / HTTP/1.1\r\n" + String(repeating: "A: x\r\n", count: 1500),
        ]
        for head in heads { #expect(try Client.ask(listener, head).hasPrefix("HTTP/1.1 431 ")) }
        let fits = "GET / HTTP/1.1\r\nA: " + String(repeating: "x", count: 8000) + "\r\n\r\n"
        #expect(try Client.ask(listener, fits).hasPrefix("HTTP/1.1 200 "))
    }

    @Test("of several requests in one connection only the first is answered") func pipelined() throws {
        let listener = try Listener.echo()
        defer { listener.stop() }
        let answer = try Client.ask(listener, String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 3))
        #expect(answer.components("HTTP/1.1").count == 2)
    }

    @Test("a client that sends without end is cut off") func endless() throws {
        let listener = try Listener.echo()
        defer { listener.stop() }
        let client = try Client(listener)
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let piece = String(repeating: "x", count: 16 * 1024)
        #expect(throws: SocketError.self) { for _ in 0..<10_000 { try client.send(piece) } }
    }

    @Test("a client that never finishes its request is cut off in time") func slowClient() throws {
        var limits = Limits()
        limits.answer = .milliseconds(200)
        let listener = try Listener.echo(limits)
        defer { listener.stop() }
        let client = try Client(listener)
        try client.send("GET / HTTP/1.1\r\nHo")
        #expect(try client.readToEnd() == "")
    }

    @Test("a client that does not read its answer is cut off in time") func slowReader() async throws {
        var limits = Limits()
        limits.answer = .milliseconds(200)
        limits.linger = .milliseconds(200)
        limits.connections = 1
        let listener = try Listener.echo(limits, big: 64 << 20)
        defer { listener.stop() }
        let slow = try Client(listener)
        try slow.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        // Only one is served at a time: this one is, once the first one is gone.
        #expect(try Client.ask(listener, "GET /next HTTP/1.0\r\n\r\n").hasSuffix("/next\n"))
    }

    @Test("a large answer arrives whole") func largeAnswer() throws {
        let listener = try Listener.echo(big: 1 << 20)
        defer { listener.stop() }
        #expect(try Client.ask(listener, "GET /big HTTP/1.0\r\n\r\n").utf8.count > 1 << 20)
    }

    @Test("connections beyond the limit wait while all others are reading their answers") func tooMany() throws {
        var limits = Limits()
        limits.connections = 2
        limits.answer = .seconds(600)
        let listener = try Listener.echo(limits, big: 64 << 20)
        defer { listener.stop() }
        var slow: [Client] = []
        for _ in 0..<2 {
            let client = try Client(listener)
            try client.send("GET /big HTTP/1.0\r\n\r\n")
            #expect(client.hears(within: .seconds(60)))
            slow.append(client)
        }
        let third = try Client(listener)
        try third.send("GET /third HTTP/1.0\r\n\r\n")
        #expect(!third.hears(within: .milliseconds(300)))
        slow.removeFirst()
        #expect(try third.readToEnd().hasSuffix("/third\n"))
        withExtendedLifetime(slow) {}
    }

    @Test("silent connections do not keep a probe from its answer: the oldest is cut for each new one") func silent() throws {
        var limits = Limits()
        limits.answer = .seconds(600)
        let listener = try Listener.echo(limits)
        defer { listener.stop() }
        var silent: [Client] = []
        for _ in 0..<limits.connections { silent.append(try Client(listener)) }
        #expect(try Client.ask(listener, "GET /probe HTTP/1.0\r\n\r\n").hasSuffix("/probe\n"))
        #expect(try silent.removeFirst().readToEnd() == "")
        let last = try #require(silent.last)
        try last.send("GET /last HTTP/1.0\r\n\r\n")
        #expect(try last.readToEnd().hasSuffix("/last\n"))
    }

    @Test("clients that keep their end open after the answer do not keep others waiting") func lingering() throws {
        var limits = Limits()
        limits.connections = 2
        limits.linger = .seconds(600)
        let listener = try Listener.echo(limits)
        defer { listener.stop() }
        var answered: [Client] = []
        for number in 0..<5 {
            let client = try Client(listener)
            try client.send("GET /\(number) HTTP/1.0\r\n\r\n")
            #expect(try client.readToEnd().hasSuffix("/\(number)\n"))
            answered.append(client)
        }
        withExtendedLifetime(answered) {}
    }

    @Test("without descriptors for new connections the listener pauses, and then goes on") func noDescriptors() throws {
        for (pause, isServed) in [(TimeAmount.seconds(600), false), (.milliseconds(10), true)] {
            var limits = Limits()
            limits.pause = pause
            let listener = try Listener.echo(limits)
            defer { listener.stop() }
            let channel = try listener.channel.wait()
            try channel.eventLoop.submit { channel.pipeline.fireErrorCaught(IOError(errnoCode: EMFILE, reason: "accept")) }.wait()
            let client = try Client(listener)
            try client.send("GET /a HTTP/1.0\r\n\r\n")
            if isServed { #expect(try client.readToEnd().hasSuffix("/a\n")) } else { #expect(!client.hears(within: .milliseconds(300))) }
        }
    }

    @Test("a socket that is closed before stop is reported, and one that is closed by stop is not") func closedUnexpectedly() throws {
        for isStopped in [false, true] {
            let failures = Mutex<[String]>([])
            let listener = try Listener(
                .tcp([127, 0, 0, 1], port: 0), limits: Limits(), failed: { reason in failures.withLock { $0.append(reason) } },
                answer: { .text(200, $0.target) })
            let channel = try listener.channel.wait()
            if isStopped { listener.stop() } else { channel.close(promise: nil) }
            try channel.closeFuture.wait()
            // The loop has called everything that waited for the end.
            try channel.eventLoop.submit {}.wait()
            #expect(failures.withLock { $0.count } == (isStopped ? 0 : 1))
        }
    }

    @Test("after stop connections are refused") func stopped() async throws {
        let listener = try Listener.echo()
        #expect(try Client.ask(listener, "GET / HTTP/1.0\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
        listener.stop()
        try await waitUntil("the port is free") { (try? Client(listener)) == nil }
    }

    @Test("a port that is in use, and an address of another machine, are unavailable") func refused() throws {
        let listener = try Listener.echo()
        defer { listener.stop() }
        for address in [listener.address, .tcp([192, 0, 2, 1], port: 0)] {
            do throws(CoordinationError) {
                _ = try ListenSocket.open(address)
                Issue.record("\(address) was free")
            } catch {
                #expect(error.kind == .unavailable && error.location == "\(address)", "\(error)")
            }
        }
    }

    @Test("without IPv6 [::] becomes 0.0.0.0, and other IPv6 addresses are unavailable") func withoutIPv6() throws {
        func create(_ family: CInt) -> CInt {
            if family != AF_INET6 { return socket(family, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
            errno = EAFNOSUPPORT
            return -1
        }
        let any = try ListenSocket.open(.tcp([UInt8](repeating: 0, count: 16), port: 0), create: create)
        close(any.descriptor)
        guard case .tcp([0, 0, 0, 0], let port) = any.address, port != 0 else {
            Issue.record("\(any.address)")
            return
        }
        do throws(CoordinationError) {
            _ = try ListenSocket.open(.tcp([UInt8](repeating: 0, count: 15) + [1], port: 0), create: create)
            Issue.record("[::1] was opened")
        } catch { #expect(error.kind == .unavailable && error.location == "[::1]:0") }
    }

    @Test("the sockets are closed when a program is started") func closeOnExec() throws {
        let listener = try Listener.echo()
        defer { listener.stop() }
        let client = try Client(listener)
        try client.send("GET / HT")
        var found = 0
        for descriptor in CInt(3)..<1024 where descriptor != client.descriptor && isSocket(descriptor, on: listener.port) {
            found += 1
            #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0, "\(descriptor)")
        }
        #expect(found >= 1)
    }

    private func isSocket(_ descriptor: CInt, on port: UInt16) -> Bool {
        var type: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && Socket.port(of: descriptor) == port
    }
}

extension String {
    fileprivate func components(_ separator: String) -> [Substring] { split(separator: separator, omittingEmptySubsequences: false) }
}
