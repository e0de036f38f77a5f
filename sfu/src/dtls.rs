//! What wraps one of str0m's DTLS connections passes on all but its output.

/// The methods of [`DtlsInstance`](str0m::crypto::dtls::DtlsInstance) but `poll_output`, passed on to a field.
macro_rules! pass_dtls_on_to {
    ($inner:ident) => {
        fn set_active(&mut self, active: bool) {
            self.$inner.set_active(active);
        }

        fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
            self.$inner.handle_packet(packet)
        }

        fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
            self.$inner.handle_timeout(now)
        }

        fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
            self.$inner.send_application_data(data)
        }

        fn is_active(&self) -> bool {
            self.$inner.is_active()
        }

        fn protocol_version(&self) -> Option<ProtocolVersion> {
            self.$inner.protocol_version()
        }

        fn is_closing(&self) -> bool {
            self.$inner.is_closing()
        }

        fn is_closed(&self) -> bool {
            self.$inner.is_closed()
        }

        fn close(&mut self) -> Result<(), DtlsImplError> {
            self.$inner.close()
        }
    };
}

pub(crate) use pass_dtls_on_to;
