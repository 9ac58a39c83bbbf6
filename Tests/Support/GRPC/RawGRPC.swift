import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import QQGRPC

/// A plain gRPC client, which sends bytes as they are given and returns everything that came back.
public final class RawGRPC: Sendable {
    public struct Answer: Sendable {
        /// The code as gRPC writes it: `OK`, `NOT_FOUND`.
        public var code: String
        public var message = ""
        public var bytes: [UInt8] = []
        /// The value of `grpc-status-details-bin`.
        public var details: [UInt8]?
    }

    private let client: GRPCClient<HTTP2ClientTransport.Posix>
    private let running: Task<Void, Never>
    private let waits: Bool

    /// - Parameters:
    ///   - port: on 127.0.0.1.
    ///   - waits: whether calls wait for a server that does not run yet or is restarting; otherwise they fail immediately.
    ///   - tls: certificates whose authority is trusted; nil for plaintext.
    ///   - showsCertificate: whether the client shows its own.
    public init(
        _ port: UInt16, at host: String = "127.0.0.1", waits: Bool = true, tls: Certificates? = nil, showsCertificate: Bool = false,
        in sandbox: Sandbox
    ) throws {
        let client = GRPCClient(
            transport: try HTTP2ClientTransport.Posix(
                target: .ipv4(address: host, port: Int(port)),
                transportSecurity: Self.security(tls, showsCertificate)))
        self.client = client
        self.waits = waits
        running = Task { try? await client.runConnections() }
        sandbox.atClose { self.close() }
    }

    private static func security(_ tls: Certificates?, _ showsCertificate: Bool) -> HTTP2ClientTransport.Posix.TransportSecurity {
        guard let tls else { return .plaintext }
        return .tls { configuration in
            configuration.trustRoots = .certificates([.file(path: tls.authority, format: .pem)])
            if showsCertificate {
                configuration.certificateChain = [.file(path: tls.client.certificate, format: .pem)]
                configuration.privateKey = .file(path: tls.client.key, format: .pem)
            }
        }
    }

    public func close() {
        client.beginGracefulShutdown()
        running.cancel()
    }

    public func call(_ service: String, _ method: String, _ request: [UInt8], within limit: Duration = waitingTime) async throws -> Answer {
        var options = CallOptions.defaults
        options.timeout = limit
        options.waitForReady = waits
        do {
            return try await client.unary(
                request: ClientRequest(message: request), descriptor: MethodDescriptor(fullyQualifiedService: service, method: method),
                serializer: PlainBytes(), deserializer: PlainBytes(), options: options
            ) { Answer(code: "OK", bytes: try $0.message) }
        } catch let error as RPCError {
            let name = Self.codes.indices.contains(error.code.rawValue) ? Self.codes[error.code.rawValue] : "\(error.code.rawValue)"
            return Answer(
                code: name, message: error.message,
                details: error.metadata[binaryValues: "grpc-status-details-bin"].first { _ in true })
        }
    }

    /// The services that reflection lists.
    /// - Parameter version: of the reflection protocol, `v1` or `v1alpha`.
    public func services(_ version: String = "v1") async throws -> [String] {
        try await client.bidirectionalStreaming(
            request: StreamingClientRequest { writer in
                var request = Grpc_Reflection_V1_ServerReflectionRequest()
                request.listServices = "*"
                try await writer.write(request)
            },
            descriptor: MethodDescriptor(
                fullyQualifiedService: "grpc.reflection.\(version).ServerReflection", method: "ServerReflectionInfo"),
            serializer: ProtobufSerializer<Grpc_Reflection_V1_ServerReflectionRequest>(),
            deserializer: ProtobufDeserializer<Grpc_Reflection_V1_ServerReflectionResponse>(), options: .defaults
        ) { response in
            var names: [String] = []
            for try await message in response.messages { names += message.listServicesResponse.service.map(\.name) }
            return names
        }
    }

    private static let codes = [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
        "UNAUTHENTICATED",
    ]
}

/// Passes messages on unchanged.
private struct PlainBytes: MessageSerializer, MessageDeserializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }

    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] { bytes.withUnsafeBytes { Array($0) } }
}
