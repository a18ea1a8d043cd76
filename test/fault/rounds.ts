/** The long form of the faults (`npm run test:fault`); without it they are short enough for every test run. */
export const IS_LONG = process.env['REGISTRY_FAULT_ROUNDS'] === 'long'
