import GRPCCore
import GRPCProtobuf
import QQCore
import SwiftProtobuf
import Synchronization
import Testing

@testable import QQGRPC
@testable import Support

/// A service whose stream answers each message with the same one, and obeys some.
private struct EchoService: RegistrableRPCService {
    static let method = MethodDescriptor(fullyQualifiedService: "test.Test", method: "Echo", type: .bidirectionalStreaming)

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: Self.method, deserializer: ProtobufDeserializer<Google_Protobuf_StringValue>(),
            serializer: ProtobufSerializer<Google_Protobuf_StringValue>()
        ) { request, _ in
            let token = Array(request.metadata[stringValues: "token"]).joined()
            return StreamingServerResponse { writer in
                for try await message in request.messages {
                    switch message.value {
                    case "end": return [:]
                    case "fail": throw RPCError(code: .permissionDenied, message: "no")
                    case "token": try await writer.write(Google_Protobuf_StringValue(token))
                    case "ignore": break
                    default: try await writer.write(message)
                    }
                }
                return [:]
            }
        }
    }
}

/// A stream that notes what it was given.
private final class Listener: Sendable {
    private let state = Mutex<(texts: [String], ends: [GRPCFailure])>(([], []))
    var texts: [String] { state.withLock { $0.texts } }
    var ends: [GRPCFailure] { state.withLock { $0.ends } }

    func open(
        _ endpoint: GRPCEndpoint, limit: Int = 1000, within time: Duration = .seconds(90), _ metadata: Metadata = [:]
    ) -> GRPCStream<Google_Protobuf_StringValue> {
        endpoint.open(
            EchoService.method, sending: Google_Protobuf_StringValue.self, metadata: metadata, limit: limit,
            answerBy: SystemClock().now() + time,
            receive: { (message: Google_Protobuf_StringValue) in self.state.withLock { $0.texts.append(message.value) } },
            ended: { failure in self.state.withLock { $0.ends.append(failure) } })
    }
}

extension GRPCStream<Google_Protobuf_StringValue> {
    @discardableResult fileprivate func say(_ text: String) -> Bool { send(Google_Protobuf_StringValue(text)) }
}

@Suite("Streams of messages") struct StreamTests {
    @Test("answers arrive in the order of the messages, also of many sent in one go") func order() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box, services: [EchoService()])
            let (endpoint, listener) = (GRPCEndpoint.of(server.port), Listener())
            let stream = listener.open(endpoint)
            let texts = (1...1000).map { "\($0)" }
            for text in texts { #expect(stream.say(text)) }
            try await waitUntil("all are answered") { listener.texts == texts }
            stream.say("later")
            try await waitUntil("later messages are answered") { listener.texts.last == "later" }
            #expect(listener.ends.isEmpty && server.listener.connections == 1)
            stream.cancel()
            endpoint.close()
        }
    }

    @Test("a stream has its metadata, and shares the connection with calls") func metadata() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box, services: [EchoService()])
            let (endpoint, listener) = (GRPCEndpoint.of(server.port), Listener())
            let stream = listener.open(endpoint, ["token": "t1"])
            stream.say("token")
            try await waitUntil("it is answered") { listener.texts == ["t1"] }
            #expect(try await endpoint.ask("x") == "x")
            #expect(server.listener.connections == 1)
            stream.cancel()
            endpoint.close()
        }
    }

    @Test("the server's end of a stream is reported once, with its status", arguments: ["end", "fail"]) func ended(_ word: String)
        async throws
    {
        try await inSandbox { box in
            let server = try await TestServer(in: box, services: [EchoService()])
            let (endpoint, listener) = (GRPCEndpoint.of(server.port), Listener())
            let stream = listener.open(endpoint)
            stream.say("x")
            stream.say(word)
            try await waitUntil("the end is reported") { !listener.ends.isEmpty }
            let failure = try #require(listener.ends.first)
            #expect(listener.ends.count == 1 && listener.texts == ["x"])
            #expect(failure.isAnswer && failure.code == (word == "fail" ? .permissionDenied : .unavailable), "\(failure)")
            // The connection is still good.
            #expect(try await endpoint.ask("x") == "x")
            #expect(server.listener.connections == 1)
            stream.cancel()
            endpoint.close()
        }
    }

    @Test("a cut connection ends a stream without an answer, and the next stream gets a new one") func cut() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box, services: [EchoService()])
            let (endpoint, listener, next) = (GRPCEndpoint.of(server.port), Listener(), Listener())
            let stream = listener.open(endpoint)
            stream.say("x")
            try await waitUntil("it is answered") { listener.texts == ["x"] }
            server.listener.cut()
            try await waitUntil("the end is reported") { !listener.ends.isEmpty }
            #expect(listener.ends.first?.isAnswer == false)
            let second = next.open(endpoint)
            second.say("y")
            try await waitUntil("the new one is answered") { next.texts == ["y"] }
            // The library might have connected again for the old one before that was given up.
            #expect(server.listener.connections >= 2)
            second.cancel()
            endpoint.close()
        }
    }

    @Test("a stream without a first answer fails at its deadline, whether or not it was connected", arguments: [true, false])
    func silent(_ isConnected: Bool) async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box, services: [EchoService()])
            let proxy = try Proxy(to: UInt16(server.port), in: box)
            if !isConnected { proxy.silence() }
            let (endpoint, listener) = (GRPCEndpoint.of(Int(proxy.port)), Listener())
            let stream = listener.open(endpoint, within: .milliseconds(300))
            stream.say("ignore")
            try await waitUntil("the end is reported") { !listener.ends.isEmpty }
            #expect(listener.ends.first?.code == .deadlineExceeded && listener.ends.first?.isAnswer == false)
            if !isConnected { #expect(listener.ends.first?.wasSent == false) }
            stream.cancel()
            endpoint.close()
        }
    }

    @Test("an answered stream has no deadline") func noDeadline() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box, services: [EchoService()])
            // The first answer must come within the limit.
            try await withGrowingTime(from: .seconds(5)) { limit in
                let (endpoint, listener, other) = (GRPCEndpoint.of(server.port), Listener(), Listener())
                defer { endpoint.close() }
                let stream = listener.open(endpoint, within: limit)
                defer { stream.cancel() }
                stream.say("x")
                try await waitUntil("it is answered, or too late", within: .seconds(300)) {
                    listener.texts == ["x"] || !listener.ends.isEmpty
                }
                if !listener.ends.isEmpty { return false }
                // A second stream with a later deadline shows that the first one's has passed.
                let silent = other.open(endpoint, within: limit + .milliseconds(200))
                silent.say("ignore")
                try await waitUntil("the other's deadline has passed", within: .seconds(300)) { !other.ends.isEmpty }
                silent.cancel()
                stream.say("y")
                try await waitUntil("it is still answered") { listener.texts == ["x", "y"] }
                #expect(listener.ends.isEmpty)
                return true
            }
        }
    }

    @Test("no more messages wait than the limit allows") func bounded() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box, services: [EchoService()])
            let proxy = try Proxy(to: UInt16(server.port), in: box)
            proxy.silence()
            let (endpoint, listener) = (GRPCEndpoint.of(Int(proxy.port)), Listener())
            let stream = listener.open(endpoint, limit: 10)
            let accepted = (1...30).count { stream.say("\($0)") }
            #expect(accepted == 10, "there is no connection yet")
            proxy.pass()
            try await waitUntil("those that were accepted are answered") { listener.texts == (1...10).map { "\($0)" } }
            stream.cancel()
            endpoint.close()
        }
    }

    @Test("a cancelled stream reports no end, and neither does one that nobody keeps") func cancelled() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box, services: [EchoService()])
            let (endpoint, listener) = (GRPCEndpoint.of(server.port), Listener())
            for isKept in [true, false] {
                var stream: GRPCStream? = listener.open(endpoint)
                stream?.say("x")
                try await waitUntil("it is answered") { listener.texts.count == (isKept ? 1 : 2) }
                if isKept { stream?.cancel() }
                stream = nil
            }
            #expect(try await endpoint.ask("x") == "x")
            #expect(listener.ends.isEmpty)
            endpoint.close()
        }
    }

    @Test("a call has its metadata") func callMetadata() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box, services: [EchoService()])
            let endpoint = GRPCEndpoint.of(server.port)
            let answer: Google_Protobuf_StringValue = try await endpoint.call(
                EchoService.method, Google_Protobuf_StringValue("token"), isRepeatable: true, timeout: .seconds(60),
                metadata: ["token": "t2"])
            #expect(answer.value == "t2")
            endpoint.close()
        }
    }
}
