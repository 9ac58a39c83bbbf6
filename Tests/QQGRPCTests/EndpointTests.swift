import GRPCCore
import QQCore
import Synchronization
import Testing

@testable import QQGRPC
@testable import Support

// One after the other: all connections of a process have one thread, and what is timed must not wait for it.
@Suite("Calls to a gRPC server", .serialized) struct EndpointTests {
    @Test("are answered over one connection, which is made when it is needed") func answered() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let endpoint = GRPCEndpoint.of(server.port)
            #expect(server.listener.connections == 0)
            for number in 1...20 { #expect(try await endpoint.ask("\(number)") == "\(number)") }
            #expect(server.listener.connections == 1)
            endpoint.close()
            #expect(try await endpoint.ask("again") == "again")
            #expect(server.listener.connections == 2)
            endpoint.close()
        }
    }

    @Test("end at their deadline where nothing is heard, from the start or suddenly", arguments: [false, true])
    func deadline(isConnected: Bool) async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let proxy = try Proxy(to: UInt16(server.port), in: box)
            let endpoint = GRPCEndpoint.of(Int(proxy.port))
            if isConnected { #expect(try await endpoint.ask("first") == "first") }
            proxy.silence()
            let began = ContinuousClock.now
            let failure = try #require(await endpoint.failure("lost", timeout: .milliseconds(1200)))
            let took = ContinuousClock.now - began
            #expect(took >= .milliseconds(1150) && took < .seconds(5), "\(took)")
            #expect(failure.code == .deadlineExceeded && !failure.isAnswer, "\(failure)")
            #expect(failure.reason == "no answer in time")
            #expect(failure.wasSent == isConnected)
            #expect(server.questions == (isConnected ? ["first"] : []))
            // The next call does not wait for the dead connection.
            proxy.pass()
            #expect(try await endpoint.ask("next") == "next")
            endpoint.close()
        }
    }

    @Test("end at their deadline where the server hears them and does not answer") func unanswered() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box) { _, context in try await context.neverAnswer() }
            let endpoint = GRPCEndpoint.of(server.port)
            let failure = try #require(await endpoint.failure("x", timeout: .seconds(2)))
            #expect(failure.code == .deadlineExceeded && failure.wasSent && failure.told("cannot x", isChange: true).isUncertain)
            #expect(server.questions == ["x"])
            endpoint.close()
        }
    }

    @Test("go over a new connection where the old one was cut before they were sent, repeatable or not") func cutBefore() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let proxy = try Proxy(to: UInt16(server.port), in: box)
            let endpoint = GRPCEndpoint.of(Int(proxy.port))
            for round in 1...4 {
                #expect(try await endpoint.ask("\(round)", isRepeatable: false) == "\(round)")
                proxy.cut(reset: round.isMultiple(of: 2))
                try await waitUntil("it is cut") { proxy.live == 0 }
                // Until the client has heard of it, too.
                try await Task.sleep(for: .seconds(1))
            }
            #expect(server.questions == ["1", "2", "3", "4"])
            #expect(proxy.accepted == 4)
            endpoint.close()
        }
    }

    @Test("are not made again when they were sent, unless they may be carried out twice", arguments: [false, true])
    func cutAfter(isRepeatable: Bool) async throws {
        try await inSandbox { box in
            let isFirst = Mutex(true)
            let server = try await TestServer(in: box) { text, context in
                let waits =
                    text == "change"
                    && isFirst.withLock { first in
                        defer { first = false }
                        return first
                    }
                if waits { try await context.neverAnswer() }
                return text
            }
            let endpoint = GRPCEndpoint.of(server.port)
            #expect(try await endpoint.ask("first") == "first")
            async let answer = endpoint.failure("change", isRepeatable: isRepeatable)
            try await waitUntil("it was heard") { server.questions.contains("change") }
            server.listener.cut()
            let failure = await answer
            if isRepeatable {
                #expect(failure == nil)
                #expect(server.questions == ["first", "change", "change"])
            } else {
                #expect(failure?.code == .unavailable && failure?.wasSent == true && failure?.isAnswer == false, "\(failure as Any)")
                #expect(failure?.told("cannot x", isChange: true).isUncertain == true)
                #expect(server.questions == ["first", "change"])
                #expect(try await endpoint.ask("next") == "next")
            }
            endpoint.close()
        }
    }

    @Test("do not notice that the server ends connections, again and again") func goAway() async throws {
        try await inSandbox { box in
            var settings = GRPCServerSettings()
            settings.connectionAge = .milliseconds(150)
            settings.connectionGrace = .seconds(3)
            let server = try await TestServer(settings, in: box) { text, _ in
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...200)))
                return text
            }
            let endpoint = GRPCEndpoint.of(server.port)
            for number in 1...60 { #expect(try await endpoint.ask("\(number)", isRepeatable: false) == "\(number)") }
            #expect(server.listener.connections >= 10)
            #expect(server.questions == (1...60).map { "\($0)" })
            endpoint.close()
        }
    }

    @Test("end, and let others in, though they were called off before they began") func calledOff() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let proxy = try Proxy(to: UInt16(server.port), in: box)
            proxy.silence()
            let endpoint = GRPCEndpoint.of(Int(proxy.port))
            for _ in 0..<50 {
                let began = ContinuousClock.now
                let failure = try #require(await endpoint.failure("x", timeout: .zero))
                #expect(failure.code == .deadlineExceeded && !failure.wasSent, "\(failure)")
                #expect(ContinuousClock.now - began < .seconds(5))
            }
            proxy.pass()
            #expect(try await endpoint.ask("next") == "next")
            endpoint.close()
        }
    }

    @Test("many at one time share a connection") func many() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let endpoint = GRPCEndpoint.of(server.port)
            #expect(try await endpoint.ask("first") == "first")
            let right = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 1...300 { group.addTask { try await endpoint.ask("\(number)", timeout: .seconds(30)) == "\(number)" } }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(right == 300)
            #expect(server.listener.connections == 1)
            endpoint.close()
        }
    }

    @Test("that are too large, or whose answers are, fail with an error that says so") func tooLarge() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box) { text, _ in text == "much" ? String(repeating: "y", count: 20_000) : text }
            var settings = GRPCSettings()
            settings.maximumMessage = 10_000
            let endpoint = GRPCEndpoint.of(server.port, settings)
            let answer = try #require(await endpoint.failure("much"))
            #expect(answer.reason.contains("10000") && answer.reason.contains("maximum"), "\(answer)")
            let request = try #require(await endpoint.failure(String(repeating: "x", count: 20_000)))
            #expect(request.reason.contains("10000") && request.reason.contains("maximum"), "\(request)")
            #expect(server.questions == ["much"], "what is too large is not sent")
            #expect(try await endpoint.ask(String(repeating: "x", count: 9_000)).utf8.count == 9_000)
            endpoint.close()
        }
    }

    @Test("that a server finds too large fail with its words") func tooLargeForServer() async throws {
        try await inSandbox { box in
            var limits = GRPCServerSettings()
            limits.maximumMessage = 10_000
            let server = try await TestServer(limits, in: box)
            let endpoint = GRPCEndpoint.of(server.port)
            let failure = try #require(await endpoint.failure(String(repeating: "x", count: 20_000), timeout: .seconds(2)))
            #expect(failure.wasSent, "\(failure)")
            #expect(try await endpoint.ask("next") == "next")
            endpoint.close()
        }
    }

    @Test("fail at once where nobody listens, and succeed when somebody does") func refused() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let endpoint = GRPCEndpoint.of(server.port)
            await server.listener.kill()
            let began = ContinuousClock.now
            let failure = try #require(await endpoint.failure("x"))
            #expect(failure.code == .unavailable && failure.reason == "Connection refused" && !failure.wasSent, "\(failure)")
            #expect(ContinuousClock.now - began < .seconds(2))
            try await server.listener.start()
            #expect(try await endpoint.ask("x") == "x")
            endpoint.close()
        }
    }

    @Test("to a host that does not exist say so") func noSuchHost() async throws {
        let endpoint = GRPCEndpoint.of(1, host: "no-such-host.invalid")
        let failure = try #require(await endpoint.failure("x", timeout: .seconds(5)))
        #expect([.unavailable, .deadlineExceeded].contains(failure.code) && !failure.wasSent, "\(failure)")
        #expect(failure.reason.utf8.count < 200, "\(failure)")
        endpoint.close()
    }

    @Test("an idle connection that nothing comes through any more is found dead by a ping, and made anew") func keepalive() async throws {
        try await inSandbox { box in
            var limits = GRPCServerSettings()
            limits.clientPings = .milliseconds(50)
            let server = try await TestServer(limits, in: box)
            let proxy = try Proxy(to: UInt16(server.port), in: box)
            var settings = GRPCSettings()
            // The library waits for an answer anew with each ping, so that this must be the shorter one.
            settings.keepalive?.interval = .milliseconds(1600)
            settings.keepalive?.timeout = .milliseconds(1400)
            let endpoint = GRPCEndpoint.of(Int(proxy.port), settings)
            #expect(try await endpoint.ask("first") == "first")
            // While it is answered, pings change nothing.
            let passed = proxy.passed(.toClient)
            try await waitUntil("pings are answered") { proxy.passed(.toClient) > passed + 17 * 2 }
            #expect(proxy.accepted == 1)
            proxy.silence()
            try await waitUntil("another connection is made, though nothing is asked") { proxy.accepted > 1 }
            proxy.pass()
            #expect(try await endpoint.ask("next", timeout: .seconds(5)) == "next")
            endpoint.close()
        }
    }

    @Test("servers are not pinged faster than they bear") func pace() {
        #expect(GRPCSettings().keepalive?.interval == .seconds(30) && GRPCSettings().keepalive?.timeout == .seconds(5))
        #expect(GRPCSettings.Keepalive(interval: .seconds(1)).interval == .seconds(10))
        #expect(GRPCSettings.Keepalive(interval: .seconds(60)).interval == .seconds(60))
    }
}
