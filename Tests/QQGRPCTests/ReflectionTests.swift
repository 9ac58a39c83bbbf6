import GRPCCore
import GRPCProtobuf
import Testing

@testable import QQGRPC
@testable import Support

@Suite("The list of a server's services") struct ReflectionTests {
    /// Reflection under one of its two names.
    struct Only: RegistrableRPCService {
        var version: String

        func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
            let name = "grpc.reflection.\(version).ServerReflection"
            router.registerHandler(
                forMethod: MethodDescriptor(fullyQualifiedService: name, method: "ServerReflectionInfo"),
                deserializer: ProtobufDeserializer<Grpc_Reflection_V1_ServerReflectionRequest>(),
                serializer: ProtobufSerializer<Grpc_Reflection_V1_ServerReflectionResponse>()
            ) { request, _ in
                StreamingServerResponse { writer in
                    for try await message in request.messages where message.listServices.isEmpty {
                        var response = Grpc_Reflection_V1_ServerReflectionResponse()
                        response.listServicesResponse.service = ["z.Z", "test.Test"].map { name in
                            var service = Grpc_Reflection_V1_ServiceResponse()
                            service.name = name
                            return service
                        }
                        try await writer.write(response)
                    }
                    return [:]
                }
            }
        }
    }

    @Test("the list of services is found under the current name of reflection and under the older one", arguments: ["v1", "v1alpha"])
    func either(version: String)
        async throws
    {
        try await inSandbox { box in
            let server = try await TestServer(in: box, services: [Only(version: version)])
            let endpoint = GRPCEndpoint.of(server.port)
            #expect(try await endpoint.services(timeout: .seconds(60)) == ["test.Test", "z.Z"])
            endpoint.close()
        }
    }

    @Test("the list of services is unavailable without reflection") func neither() async throws {
        try await inSandbox { box in
            let endpoint = GRPCEndpoint.of(try await TestServer(in: box).port)
            do throws(GRPCFailure) {
                let found = try await endpoint.services(timeout: .seconds(60))
                Issue.record("found \(found)")
            } catch { #expect(error.code == .unimplemented && error.isAnswer, "\(error)") }
            endpoint.close()
        }
    }
}
