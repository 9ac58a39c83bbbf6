import GRPCCore

extension GRPCEndpoint {
    /// The services that the server offers, by server reflection; by its older version if the server has only that.
    /// - Throws: `GRPCFailure` with the code `.unimplemented` if the server has neither.
    public func services(timeout: Duration) async throws(GRPCFailure) -> [String] {
        do throws(GRPCFailure) { return try await services("grpc.reflection.v1.ServerReflection", timeout) } catch {
            guard error.code == .unimplemented else { throw error }
            return try await services("grpc.reflection.v1alpha.ServerReflection", timeout)
        }
    }

    private func services(_ reflection: String, _ timeout: Duration) async throws(GRPCFailure) -> [String] {
        var request = Grpc_Reflection_V1_ServerReflectionRequest()
        request.listServices = ""
        // A stream of one request, after which it ends.
        let response: Grpc_Reflection_V1_ServerReflectionResponse = try await call(
            MethodDescriptor(fullyQualifiedService: reflection, method: "ServerReflectionInfo"), request, isRepeatable: true,
            timeout: timeout)
        return response.listServicesResponse.service.map(\.name).sorted()
    }
}
