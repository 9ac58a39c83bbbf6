import GRPCCore
import GRPCProtobuf
import QQGRPC

/// The part of gRPC server reflection that lists services, under both of its names.
struct ReflectionService: RegistrableRPCService {
    static let names = ["v1", "v1alpha"].map { "grpc.reflection.\($0).ServerReflection" }

    /// The services other than reflection itself.
    var services: [String]

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        for name in Self.names {
            router.registerHandler(
                forMethod: MethodDescriptor(fullyQualifiedService: name, method: "ServerReflectionInfo", type: .bidirectionalStreaming),
                deserializer: ProtobufDeserializer<Grpc_Reflection_V1_ServerReflectionRequest>(),
                serializer: ProtobufSerializer<Grpc_Reflection_V1_ServerReflectionResponse>()
            ) { request, _ in
                StreamingServerResponse { writer in
                    for try await message in request.messages { try await writer.write(answer(message)) }
                    return [:]
                }
            }
        }
    }

    private func answer(_ request: Grpc_Reflection_V1_ServerReflectionRequest) -> Grpc_Reflection_V1_ServerReflectionResponse {
        var response = Grpc_Reflection_V1_ServerReflectionResponse()
        response.validHost = request.host
        if case .listServices = request.messageRequest {
            response.listServicesResponse.service = (services + Self.names).sorted().map { name in
                var service = Grpc_Reflection_V1_ServiceResponse()
                service.name = name
                return service
            }
        } else {
            response.errorResponse.errorCode = Int32(RPCError.Code.unimplemented.rawValue)
            response.errorResponse.errorMessage = "only the list of services is served here"
        }
        return response
    }
}
