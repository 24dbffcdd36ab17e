// What this program is: the Makefile's bundling puts version and revision in; run from source they are placeholders.
declare const ENTREPOT_VERSION: string | undefined
declare const ENTREPOT_REVISION: string | undefined

export const productName = 'entrepot'

/** As in package.json. */
export const version = typeof ENTREPOT_VERSION === 'string' ? ENTREPOT_VERSION : '0.0.0-source'

/** The git commit that was built; `-dirty` follows where files were changed. */
export const revision = typeof ENTREPOT_REVISION === 'string' ? ENTREPOT_REVISION : 'unknown'
