import GRPCCore
import GRPCProtobuf
import Glibc
import QQCore
import QQNetwork
import SwiftProtobuf
import Synchronization

@testable import QQGRPC
@testable import Support

/// A server with one method, whose answers the test gives.
final class TestServer: Sendable {
    typealias Answer = @Sendable (_ text: String, _ context: ServerContext) async throws -> String

    static let method = MethodDescriptor(fullyQualifiedService: "test.Test", method: "Ask")

    private struct Service: RegistrableRPCService {
        let server: TestServer

        func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
            router.registerHandler(
                forMethod: TestServer.method, deserializer: ProtobufDeserializer<Google_Protobuf_StringValue>(),
                serializer: ProtobufSerializer<Google_Protobuf_StringValue>()
            ) { request, context in
                for try await message in request.messages {
                    server.asked.withLock { $0.append(message.value) }
                    let text = try await server.answer(message.value, context)
                    return StreamingServerResponse { writer in
                        try await writer.write(Google_Protobuf_StringValue(text))
                        return [:]
                    }
                }
                throw RPCError(code: .invalidArgument, message: "nothing was asked")
            }
        }
    }

    private let answer: Answer
    private let asked = Mutex<[String]>([])
    private let running = Mutex<GRPCListener?>(nil)
    var listener: GRPCListener { running.withLock { $0 }! }

    init(
        _ settings: GRPCServerSettings = GRPCServerSettings(), in sandbox: Sandbox, services: [any RegistrableRPCService] = [],
        answer: @escaping Answer = { text, _ in text }
    ) async throws {
        self.answer = answer
        let listener = GRPCListener(settings, [Service(server: self)] + services, in: sandbox)
        running.withLock { $0 = listener }
        try await listener.start()
    }

    /// The requests, in order of arrival.
    var questions: [String] { asked.withLock { $0 } }
    var port: Int { Int(listener.port) }
}

extension GRPCEndpoint {
    static func of(_ port: Int, host: String = "127.0.0.1", _ settings: GRPCSettings = GRPCSettings()) -> GRPCEndpoint {
        GRPCEndpoint(.init(name: host, port: port), settings, clock: SystemClock())
    }

    func ask(_ text: String, isRepeatable: Bool = true, timeout: Duration = .seconds(60)) async throws(GRPCFailure) -> String {
        let answer: Google_Protobuf_StringValue = try await call(
            TestServer.method, Google_Protobuf_StringValue(text), isRepeatable: isRepeatable, timeout: timeout)
        return answer.value
    }

    /// Makes a call that should fail; nil if it is answered.
    func failure(_ text: String, isRepeatable: Bool = true, timeout: Duration = .seconds(30)) async -> GRPCFailure? {
        do throws(GRPCFailure) {
            _ = try await ask(text, isRepeatable: isRepeatable, timeout: timeout)
            return nil
        } catch { return error }
    }
}

/// Runs a test with a sandbox of its own.
func inSandbox(_ load: Gate.Load = .light, _ body: (Sandbox) async throws -> Void) async throws { _ = try await withSandbox(load, body) }
