import QQCore
import QQHTTP
import Support
import Testing

@Suite("Streamed answers of an HTTP server", .serialized) struct StreamTests {
    @Test(arguments: Version.allCases) func `lines come as they are sent, also in pieces, until the server ends`(version: Version)
        async throws
    {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { _ in .stream() }
            let stream = try await fixture.endpoint(server.port).stream("/watch")
            #expect(stream.status == 200)
            var lines = stream.lines.makeAsyncIterator()
            server.push("a\nb")
            #expect(try await lines.text() == "a")
            server.push("c\n\nd")
            #expect(try await lines.text() == "bc")
            #expect(try await lines.text() == "")
            server.finish()
            #expect(try await lines.text() == "d")
            #expect(try await lines.text() == nil)
            #expect(try await lines.text() == nil)
        }
    }

    @Test(arguments: Version.allCases) func `the head has a deadline, and the rest has none`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { $0.target == "/silent" ? .silence : .stream() }
            let endpoint = fixture.endpoint(server.port)
            let began = ContinuousClock.now
            do throws(HTTPFailure) {
                _ = try await endpoint.stream("/silent", timeout: .milliseconds(300))
                Issue.record("has begun")
            } catch { #expect(error.kind == .timedOut) }
            #expect(ContinuousClock.now - began < .seconds(20))
            try await withGrowingTime(from: .milliseconds(500)) { timeout in
                let stream: HTTPStream
                do throws(HTTPFailure) { stream = try await endpoint.stream("/watch", timeout: timeout) } catch {
                    #expect(error.kind == .timedOut)
                    return false
                }
                var lines = stream.lines.makeAsyncIterator()
                try await Task.sleep(for: timeout + .milliseconds(200))
                server.push("late\n")
                #expect(try await lines.text() == "late")
                return true
            }
        }
    }

    @Test(arguments: Version.allCases) func `a refusal can be read as a whole`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { _ in .answer(403, "one\ntwo", fields: ["retry-after": "3"]) }
            let stream = try await fixture.endpoint(server.port).stream("/watch")
            #expect(stream.status == 403 && stream.field("Retry-After") == "3")
            #expect(try await stream.body(until: SystemClock().now() + .seconds(60)) == Array("one\ntwo".utf8))
        }
    }

    @Test(arguments: Version.allCases) func `reading a whole body has a deadline and a limit`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { $0.target == "/much" ? .flood(1_000_000) : .stream() }
            let endpoint = fixture.endpoint(server.port) { $0.maximumLine = 10_000 }
            for (target, kind, time) in [
                ("/much", HTTPFailure.Kind.brokenAnswer, Duration.seconds(60)), ("/watch", .timedOut, .milliseconds(500)),
            ] {
                let stream = try await endpoint.stream(target)
                do throws(HTTPFailure) {
                    _ = try await stream.body(until: SystemClock().now() + time)
                    Issue.record("was read")
                } catch { #expect(error.kind == kind, "\(error)") }
            }
        }
    }

    @Test(arguments: Version.allCases) func `an answer that breaks off is not taken for its end`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { _ in .stream() }
            var lines = try await fixture.endpoint(server.port).stream("/watch").lines.makeAsyncIterator()
            server.push("a\nb")
            #expect(try await lines.text() == "a")
            server.cut()
            await #expect(throws: HTTPFailure.self) { try await lines.text() }
        }
    }

    @Test(arguments: Version.allCases) func `a reader that does not read holds the server up, and reads everything later`(version: Version)
        async throws
    {
        try await withFixture(version) { fixture in
            let size = 20 * 1024 * 1024
            let server = try await fixture.server { _ in .flood(size) }
            var lines = try await fixture.endpoint(server.port).stream("/watch").lines.makeAsyncIterator()
            // The kernel's buffers of both sides hold some megabytes, and HTTP/2 holds the server up before them.
            var before = -1
            while before != server.flooded || before <= 0 {
                before = server.flooded
                try await Task.sleep(for: .milliseconds(200))
            }
            #expect(server.flooded < (version == .http2 ? 1 : 14) * 1024 * 1024, "\(server.flooded)")
            var count = 0
            while let line = try await lines.next() { count += line.count + 1 }
            #expect(count == size)
        }
    }

    @Test(arguments: Version.allCases) func `a line that is too long fails the stream, and ends its request`(version: Version) async throws
    {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { _ in .stream() }
            let endpoint = fixture.endpoint(server.port) { $0.maximumLine = 10_000 }
            var lines = try await endpoint.stream("/watch").lines.makeAsyncIterator()
            server.push(String(repeating: "x", count: 9_999) + "\n")
            #expect(try await lines.text()?.utf8.count == 9_999)
            server.push(String(repeating: "x", count: 20_000))
            do {
                _ = try await lines.next()
                Issue.record("was read")
            } catch { #expect((error as? HTTPFailure)?.kind == .brokenAnswer && "\(error)".contains("10000"), "\(error)") }
            try await waitUntil("the server has no open stream") { server.open == 0 }
        }
    }

    @Test(arguments: Version.allCases) func `a stream that nobody refers to ends its request`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { _ in .stream() }
            let endpoint = fixture.endpoint(server.port)
            do {
                let stream = try await endpoint.stream("/watch")
                #expect(server.open == 1)
                _ = stream.status
            }
            try await waitUntil("the server has no open stream") { server.open == 0 }
            let other = try await endpoint.stream("/watch")
            other.close()
            try await waitUntil("the server has no open stream") { server.open == 0 }
        }
    }

    @Test(arguments: Version.allCases) func `a stream whose reading task is cancelled ends its request at once`(version: Version)
        async throws
    {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { _ in .stream() }
            let stream = try await fixture.endpoint(server.port).stream("/watch")
            let task = Task { () -> HTTPFailure? in
                do { for try await _ in stream.lines {} } catch { return error as? HTTPFailure }
                return nil
            }
            try await Task.sleep(for: .milliseconds(100))
            task.cancel()
            #expect(await task.value?.kind == .cancelled)
            try await waitUntil("the server has no open stream") { server.open == 0 }
        }
    }

    @Test(arguments: Version.allCases)
    func `calls do not wait for streams, even if there are more than the server allows on a connection`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server(maximumStreams: 4) { $0.target == "/watch" ? .stream() : .answer(200, "ok") }
            let endpoint = fixture.endpoint(server.port)
            var streams: [HTTPStream] = []
            for _ in 0..<20 { streams.append(try await endpoint.stream("/watch")) }
            #expect(server.open == 20)
            #expect(try await endpoint.text("/call") == "ok")
            #expect(server.connections == (version == .http2 ? 6 : 21))
            for stream in streams { stream.close() }
        }
    }

    @Test(arguments: Version.allCases) func `one stream too many is refused at once, and another one is possible later`(version: Version)
        async throws
    {
        try await withFixture(version) { fixture in
            let server = try await fixture.server { _ in .stream() }
            for limit in [\HTTPSettings.maximumStreams, \.maximumStreamConnections] {
                if version == .http2, limit == \.maximumStreamConnections { continue }
                let endpoint = fixture.endpoint(server.port) { $0[keyPath: limit] = 3 }
                var streams: [HTTPStream] = []
                for _ in 0..<3 { streams.append(try await endpoint.stream("/watch")) }
                do throws(HTTPFailure) {
                    _ = try await endpoint.stream("/watch")
                    Issue.record("has begun")
                } catch { #expect(error.kind == .tooManyStreams && !error.wasSent) }
                streams.removeLast().close()
                try await waitUntil("the server has one stream less") { server.open == 2 }
                streams.append(try await endpoint.stream("/watch"))
                for stream in streams { stream.close() }
                try await waitUntil("the server has no open stream") { server.open == 0 }
            }
        }
    }

    @Test func `a silent connection is found dead by pings, and its streams fail`() async throws {
        try await withFixture(.http2) { fixture in
            let server = try await fixture.server { _ in .stream() }
            let proxy = try Proxy(to: UInt16(server.port), in: fixture.box)
            try await withGrowingTime(from: .milliseconds(200)) { time in
                proxy.pass()
                let endpoint = fixture.endpoint(Int(proxy.port)) { $0.keepalive = time }
                // Pings change nothing while they are answered, as far as the machine is able to do that in time.
                guard let stream = try? await endpoint.stream("/watch") else { return false }
                var lines = stream.lines.makeAsyncIterator()
                try await Task.sleep(for: time * 4)
                server.push("a\n")
                guard let line = try? await lines.text() else { return false }
                #expect(line == "a")
                proxy.silence()
                do {
                    _ = try await lines.next()
                    Issue.record("was read")
                } catch { #expect("\(error)".contains("fallen silent"), "\(error)") }
                return true
            }
        }
    }

    @Test func `streams go on when the server announces the end of the connection, and new ones use another`() async throws {
        try await withFixture(.http2) { fixture in
            let server = try await fixture.server { _ in .stream() }
            let endpoint = fixture.endpoint(server.port)
            var lines = try await endpoint.stream("/watch").lines.makeAsyncIterator()
            server.goAway()
            // Until the announcement has come.
            let end = ContinuousClock.now + waitingTime
            while server.requests.last?.connection == 1, ContinuousClock.now < end {
                try await endpoint.stream("/other").close()
                try await Task.sleep(for: .milliseconds(10))
            }
            server.push("a\n")
            #expect(try await lines.text() == "a")
            #expect(server.requests.last?.connection == 2)
        }
    }
}
